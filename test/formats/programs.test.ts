/** Archives with programs and the old tar container, tensor by tensor, against what PyTorch reads (the .tsv beside each). */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chunksOf } from '../../src/core/source.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';

const folder = new URL('../fixtures/programs/', import.meta.url);
const pathOf = (name: string): string => new URL(name, folder).pathname;
const files = readdirSync(folder).filter((name) => !name.endsWith('.tsv'));

const TORCH_NAMES: Record<string, string> = { float8e4m3fn: 'float8_e4m3fn' };

const withFile = <T>(name: string, use: (file: WeightFile) => T): T => {
  const file = openWeights(pathOf(name));
  try {
    return use(file);
  } finally {
    file.close();
  }
};

const rowsOf = ({ stateDicts }: WeightFile): string[] =>
  stateDicts.flatMap(({ path, tensors }) =>
    [...tensors].map(([key, { dtype, dims, data }]) => {
      const hash = createHash('sha256');
      for (const chunk of chunksOf(data, 1000)) hash.update(chunk);
      return [path, key, `[${dims.join(', ')}]`, TORCH_NAMES[dtype] ?? dtype, hash.digest('hex')].join('\t');
    }),
  );

describe('tensors, names and order are what PyTorch reads', () => {
  it.each(files)('%s', (name) => {
    const expected = readFileSync(pathOf(`${name}.tsv`), 'utf8')
      .trimEnd()
      .split('\n');
    // Tensors that are neither parameters nor buffers have no oracle; they are tested below.
    const found = withFile(name, rowsOf).filter((row) => !row.startsWith('attributes\t'));
    expect(found).toEqual(expected);
  });
  it.each(files.filter((name) => !name.startsWith('old')))('%s: all checksums are right', (name) => {
    withFile(name, (file) => {
      expect(file.findings).toEqual([]);
      expect(file.checkIntegrity?.() ?? []).toEqual([]);
    });
  });
});

const shared = ({ stateDicts }: WeightFile, path = ''): Record<string, string> =>
  Object.fromEntries(
    [...(stateDicts.find((dict) => dict.path === path)?.tensors ?? [])].flatMap(([key, { sharedWith }]) =>
      sharedWith === undefined ? [] : [[key, sharedWith]],
    ),
  );

describe('the old tar container', () => {
  it('is recognised by its content', () => {
    withFile('tiny.sd.tar.pth', ({ format, stateDicts, globals }) => {
      expect(format).toBe('torch-tar');
      expect(stateDicts.map(({ path }) => path)).toEqual(['']);
      expect(globals).toContainEqual({ name: 'torch.FloatTensor', kind: 'data', calls: 0 });
      expect(globals.every(({ kind }) => kind === 'data')).toBe(true);
    });
  });
});

describe('TorchScript', () => {
  it('tells parameters and buffers from other tensors, and lists plain attributes', () => {
    for (const name of ['attributes.pt', 'attributes.ptl']) {
      withFile(name, (file) => {
        expect(file.format).toBe('torchscript');
        expect(file.stateDicts.map(({ path }) => path)).toEqual(['', 'attributes']);
        expect([...file.stateDicts[1]!.tensors.keys()]).toEqual([
          'plain',
          'tensors.0',
          'tensors.1',
          'holder.x',
          'first.plain',
          'second.plain',
          'list.0.plain',
          'list.1.plain',
        ]);
        expect(shared(file)).toEqual({
          tied: 'brief',
          'second.weight': 'first.weight',
          'second.steps': 'first.steps',
        });
        expect(JSON.parse(JSON.stringify(Object.fromEntries(file.metadata)))).toMatchObject({
          class: 'Attributes',
          frozen: false,
          mobile: name.endsWith('.ptl'),
          version: '3',
          training: false,
          attributes: {
            names: ['a', 'b'],
            pair: [4, 0.5],
            flag: true,
            ratio: 0.25,
            color: { class: '__torch__.Color', args: [2] },
            'holder.n': 3,
          },
        });
      });
    }
  });
  it('lists extra files, the text of short ones', () => {
    withFile('attributes.pt', ({ metadata }) => {
      expect({ ...(metadata.get('extra') as object) }).toEqual({
        'raw.bin': '2 bytes',
        'labels.txt': 'cat\ndog',
      });
    });
  });
  it('finds the weights of frozen modules among the constants', () => {
    for (const [name, count] of [
      ['tiny.trace_frozen.pt', 20],
      ['tcnwn.trace_frozen.pt', 8],
    ] as const) {
      withFile(name, ({ stateDicts, metadata }) => {
        expect(stateDicts.map(({ path, tensors }) => [path, tensors.size])).toEqual([['constants', count]]);
        expect(stateDicts[0]?.tensors.has('CONSTANTS.c0')).toBe(true);
        expect(metadata.get('frozen')).toBe(true);
      });
    }
  });
  it('shows its own classes as opaque, and nothing else', () => {
    withFile('tiny.trace.pt', ({ globals }) => {
      for (const { name, kind } of globals)
        expect([name, kind === 'opaque']).toEqual([name, name.startsWith('__torch__')]);
    });
  });
});

describe('torch.export', () => {
  it('says versions, inputs and outputs', () => {
    withFile('linear_relu.pt2', ({ format, metadata, globals }) => {
      expect(format).toBe('pt2');
      expect(Object.fromEntries(metadata)).toEqual({
        schemaVersion: '8.20',
        torchVersion: '2.13.0+cpu',
        atenOpset: 10,
        inputs: ['input'],
        outputs: ['relu'],
      });
      expect(globals).toEqual([]);
    });
  });
  it('knows tied weights in every layout', () => {
    for (const name of ['tied.pt2', 'transitional.pt2', 'old.pt2']) {
      withFile(name, (file) => {
        expect([name, shared(file)]).toEqual([name, { 'head.weight': 'emb.weight' }]);
        expect(file.stateDicts.map(({ path }) => path)).toEqual(['', 'constants']);
        expect([...file.stateDicts[1]!.tensors.keys()].sort()).toEqual(['constant', 'hidden']);
      });
    }
  });
  it('reads the three layouts alike', () => {
    const rows = withFile('tied.pt2', rowsOf).sort();
    expect(withFile('transitional.pt2', rowsOf).sort()).toEqual(rows);
    expect(withFile('old.pt2', rowsOf).sort()).toEqual(rows);
    withFile('old.pt2', ({ metadata }) => {
      expect(metadata.get('version')).toBe('8.2');
      expect({ ...(metadata.get('extra') as object) }).toEqual({ 'note.txt': 'hi' });
    });
  });
  it('names the state dicts of several models after them', () => {
    withFile('several.pt2', ({ stateDicts, metadata }) => {
      expect(stateDicts.map(({ path, tensors }) => [path, tensors.size])).toEqual([
        ['model', 10],
        ['model.constants', 2],
        ['other', 2],
      ]);
      expect(metadata.get('other')).toMatchObject({ inputs: ['x'], outputs: ['linear'] });
    });
  });
});
