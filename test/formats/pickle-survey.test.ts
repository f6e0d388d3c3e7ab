/** Pickles that weights do not need are judged where a file is described. */
import { describe, expect, it } from 'vitest';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';
import { verdictOf } from '../../src/inspect/global-autopsy.ts';
import { checkpointBytes } from '../fuzz/builders.ts';
import { call, fileWith, ops, pickled, str, zipped } from '../support/torch-files.ts';

const described = <T>(path: string, use: (file: WeightFile) => T): T => {
  const file = openWeights(path, { describe: true });
  try {
    return use(file);
  } finally {
    file.close();
  }
};
const judged = (path: string): [string, string[]] =>
  described(path, (file) => [
    verdictOf(file),
    file.globals.filter(({ kind }) => kind !== 'data').map(({ name }) => name),
  ]);

const command = call('os.system', str('true'));
const plain = call('numpy.core.multiarray._reconstruct');
const objects = (pickle: Uint8Array): Buffer => {
  const header = Buffer.from("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n");
  return ops('\x93NUMPY\x01\0', header.length, 0, header, pickle);
};

describe('arrays of objects', () => {
  it.each<[string, Uint8Array, string, string[]]>([
    ['a command', pickled(command), 'dangerous', ['os.system']],
    ['an unknown class', pickled(call('my.Thing')), 'opaque', ['my.Thing']],
    ['plain data', pickled(plain), 'safe', []],
    ['a pickle that is cut off', pickled(plain).subarray(0, -1), 'opaque', []],
  ])('of %s', (_, pickle, verdict, names) => {
    expect(judged(fileWith(objects(pickle)))).toEqual([verdict, names]);
    const npz = zipped({ 'x.npy': objects(pickled(plain)), 'y.npy': objects(pickle) });
    expect(judged(fileWith(npz))).toEqual([verdict, names]);
  });
  it('stay unsupported for everything else', () => {
    expect(() => openWeights(fileWith(objects(pickled(plain))))).toThrow(/Python objects/);
  });
});

it.each(['data/sample_inputs/model.pt', 'data/constants/custom_obj_0', 'data/constants/opaque_obj_3'])(
  'exported programs: %s',
  (name) => {
    const entries = {
      'm/archive_format': Buffer.from('pt2'),
      'm/data/weights/model_weights_config.json': Buffer.from('{"config":{}}'),
    };
    const bytes = name.endsWith('.pt') ? checkpointBytes(command) : pickled(command);
    const path = fileWith(zipped({ ...entries, [`m/${name}`]: bytes }));
    expect(judged(path)).toEqual(['dangerous', ['os.system']]);
    expect(described(path, ({ findings }) => findings.map(({ rule }) => rule))).toContain(
      'checkpoint/refused-global',
    );
    openWeights(path).close();
  },
);
