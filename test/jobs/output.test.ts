import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { BytesSource } from '../../src/core/source.ts';
import { checkOutput, makeFolder, writeAtomically, writeFilesAtomically } from '../../src/jobs/output.ts';

const built = new URL('../../dist/src/jobs/output.js', import.meta.url).href;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-output-'));
});
afterEach(() => {
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const codeOf = async (work: Promise<unknown> | (() => unknown)): Promise<string> => {
  try {
    await (typeof work === 'function' ? work() : work);
    return 'no error';
  } catch (error) {
    return error instanceof OrthoError ? error.code : String(error);
  }
};

describe('one file', () => {
  test('has the bytes in order, small and large, and its digest', async () => {
    const large = new Uint8Array(3_000_001).map((_, index) => index);
    const written = await writeAtomically(
      at('out'),
      (sink) => {
        sink.write(bytes('head'));
        sink.write(new BytesSource(large));
        sink.write(large);
        sink.write(bytes('tail'));
        expect(sink.bytes).toBe(6_000_010);
      },
      { hash: true },
    );
    const expected = Buffer.concat([bytes('head'), large, large, bytes('tail')]);
    expect(readFileSync(at('out')).equals(expected)).toBe(true);
    expect(written).toEqual({
      path: at('out'),
      bytes: expected.length,
      sha256: createHash('sha256').update(expected).digest('hex'),
    });
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('may be written asynchronously from a buffer that is used again', async () => {
    const buffer = bytes('abc');
    await writeAtomically(at('out'), async (sink) => {
      sink.write(buffer);
      await Promise.resolve();
      buffer.fill(120);
      sink.write(buffer);
    });
    expect(readFileSync(at('out'), 'utf8')).toBe('abcxxx');
  });

  test('an existing target needs force, and keeps its mode', async () => {
    writeFileSync(at('out'), 'old', { mode: 0o640 });
    let isCalled = false;
    const write = (sink: { write(chunk: Uint8Array): void }): void => {
      isCalled = true;
      sink.write(bytes('new'));
    };
    expect(await codeOf(writeAtomically(at('out'), write))).toBe('usage/output-exists');
    expect(isCalled).toBe(false);
    expect(readFileSync(at('out'), 'utf8')).toBe('old');
    await writeAtomically(at('out'), write, { force: true });
    expect(readFileSync(at('out'), 'utf8')).toBe('new');
    expect(statSync(at('out')).mode & 0o777).toBe(0o640);
  });

  test('a writer that fails leaves the old file and nothing else', async () => {
    writeFileSync(at('out'), 'old');
    const failing = writeAtomically(
      at('out'),
      (sink) => {
        sink.write(bytes('half'));
        throw new OrthoError('file/truncated', 'the source ended');
      },
      { force: true },
    );
    expect(await codeOf(failing)).toBe('file/truncated');
    expect(readFileSync(at('out'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('a symbolic link stays a link and its target is replaced', async () => {
    writeFileSync(at('real'), 'old');
    symlinkSync('real', at('link'));
    await writeAtomically(at('link'), (sink) => sink.write(bytes('new')), { force: true });
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(at('real'), 'utf8')).toBe('new');
  });

  test('a device is written directly', async () => {
    await writeAtomically('/dev/null', (sink) => sink.write(bytes('gone')));
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  test('a name of 250 characters', async () => {
    const name = 'n'.repeat(250);
    await writeAtomically(at(name), (sink) => sink.write(bytes('x')));
    expect(readdirSync(folder)).toEqual([name]);
  });

  test.each([
    ['a folder', () => folder],
    ['a missing folder', () => at('none/out')],
    ['a file as folder', () => join('/dev/null', 'out')],
    ['a name that is too long', () => at('n'.repeat(300))],
    ['a full device', () => '/dev/full'],
  ])('%s is output/unwritable', async (_what, target) => {
    expect(await codeOf(writeAtomically(target(), (sink) => sink.write(bytes('x'))))).toBe(
      'output/unwritable',
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ['write', 'sink.write'],
    ['push', 'await sink.push'],
  ])('a file system that takes no more in the middle is output/unwritable (%s)', (_, give) => {
    const script = `
      import { writeAtomically } from ${JSON.stringify(built)};
      const write = async (sink) => { for (let i = 0; i < 8; i++) ${give}(new Uint8Array(1 << 20)); };
      await writeAtomically(process.argv[1], write, { force: true }).catch(({ code }) => console.log(code));`;
    writeFileSync(at('out'), 'old');
    const command = `ulimit -f 2048; exec "$0" --input-type=module -e '${script}' "$1"`;
    const { stdout } = spawnSync('bash', ['-c', command, process.execPath, at('out')], { encoding: 'utf8' });
    expect(stdout).toBe('output/unwritable\n');
    expect(readFileSync(at('out'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('what is pushed and what is written comes in order, whatever its size', async () => {
    const parts = [5, 3 << 20, 0, (1 << 20) - 5, 1 << 20, 1, 70 << 20, 9].map((size, i) =>
      new Uint8Array(size).fill(i + 1),
    );
    const { bytes, sha256 } = await writeAtomically(
      at('mixed'),
      async (sink) => {
        for (const [i, part] of parts.entries()) {
          if (i % 3 === 2) sink.write(part);
          else await sink.push(part);
          // The bytes are the caller's again.
          part.fill(255);
        }
      },
      { hash: true },
    );
    const expected = Buffer.concat(parts.map((part, i) => part.fill(i + 1)));
    expect(bytes).toBe(expected.length);
    expect(Buffer.compare(readFileSync(at('mixed')), expected)).toBe(0);
    expect(sha256).toBe(createHash('sha256').update(expected).digest('hex'));
    await writeAtomically('/dev/null', (sink) => sink.push(expected.subarray(0, 3 << 20)));
  });

  test.skipIf(process.getuid?.() === 0)('a folder without permission is output/unwritable', async () => {
    chmodSync(folder, 0o555);
    expect(await codeOf(writeAtomically(at('out'), () => {}))).toBe('output/unwritable');
  });
});

describe('checkOutput', () => {
  test('refuses an input under any name, even with force', async () => {
    writeFileSync(at('in'), 'x');
    symlinkSync('in', at('link'));
    linkSync(at('in'), at('hard'));
    for (const name of ['in', 'link', 'hard', `../${folder.split('/').at(-1)}/in`]) {
      const check = () => checkOutput(at(name), { force: true, inputs: [at('other'), at('in')] });
      expect(await codeOf(check)).toBe('usage/conflict');
    }
  });

  test('accepts a new name', () =>
    expect(() => checkOutput(at('new'), { inputs: [at('in')] })).not.toThrow());
});

describe('makeFolder', () => {
  test('makes all that is missing, and minds none that is there', () => {
    makeFolder(at('a/b/c'));
    makeFolder(at('a/b/c'));
    expect(readdirSync(at('a/b'))).toEqual(['c']);
  });

  test('says where a folder cannot be', async () => {
    writeFileSync(at('file'), 'x');
    expect(await codeOf(() => makeFolder(at('file/below')))).toBe('output/unwritable');
  });

  test.skipIf(!existsSync('/proc/self'))('ends where the system knows no such folder', async () => {
    expect(await codeOf(() => makeFolder('/proc/no-such-process/out'))).toBe('output/unwritable');
  });
});

describe('several files', () => {
  test('all or nothing', async () => {
    const files = [
      { path: at('data'), write: (sink: { write(chunk: Uint8Array): void }) => sink.write(bytes('data')) },
      {
        path: at('main'),
        write: () => {
          throw new OrthoError('model/invalid', 'no');
        },
      },
    ];
    expect(await codeOf(writeFilesAtomically(files))).toBe('model/invalid');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a main that cannot be renamed takes the data back', async () => {
    const write = (sink: { write(chunk: Uint8Array): void }) => sink.write(bytes('x'));
    const files = [
      { path: at('data'), write },
      {
        path: at('main'),
        write: (sink: { write(chunk: Uint8Array): void }) => {
          write(sink);
          mkdirSync(at('main'));
        },
      },
    ];
    expect(await codeOf(writeFilesAtomically(files, { force: true }))).toBe('output/unwritable');
    expect(readdirSync(folder)).toEqual(['main']);
  });

  test('main comes last', async () => {
    const order: string[] = [];
    const write = (name: string) => () => {
      order.push(name);
      expect(existsSync(at('data'))).toBe(false);
    };
    const written = await writeFilesAtomically([
      { path: at('data'), write: write('data') },
      { path: at('main'), write: write('main') },
    ]);
    expect(order).toEqual(['data', 'main']);
    expect(written.map(({ path }) => path)).toEqual([at('data'), at('main')]);
  });
});

describe('left-overs', () => {
  const tag = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
  const name = (host: string, pid: number) => `.out.ortho-${host}-${pid}-0123abcd.tmp`;

  test('of dead processes go, of living ones and of other hosts stay', async () => {
    const dead = spawnSync(process.execPath, ['-e', '0']).pid;
    const kept = [name(tag, process.ppid), name('ffffffff', dead), '.out.ortho-notes.tmp', '.outer.tmp'];
    for (const one of [...kept, name(tag, dead)]) writeFileSync(at(one), '');
    await writeAtomically(at('out'), () => {});
    expect(readdirSync(folder).sort()).toEqual([...kept, 'out'].sort());
  });

  test('go when the process exits in the middle', () => {
    const script = `
      import { writeAtomically } from ${JSON.stringify(built)};
      await writeAtomically(process.argv[1], (sink) => { sink.write(new Uint8Array(9)); process.exit(7); });`;
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script, at('out')]);
    expect(status).toBe(7);
    expect(readdirSync(folder)).toEqual([]);
  });
});
