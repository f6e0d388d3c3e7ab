import { expect, test } from 'vitest';
import { choice } from '../../src/cli/options.ts';
import { parseCommandLine } from '../../src/cli/parse.ts';
import { act, write } from './toy-tools.mjs';

const valuesOf = async (...words: string[]): Promise<Record<string, unknown>> =>
  (await parseCommandLine(act, ['f', ...words])).values;

const refusalOf = async (tool: typeof act, words: readonly string[]): Promise<string> => {
  try {
    await parseCommandLine(tool, words);
    return 'accepted';
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint?: string };
    return `${code}: ${message}${hint === undefined ? '' : ` Hint: ${hint}`}`;
  }
};

test('defaults', async () => {
  expect(await valuesOf()).toEqual({
    files: ['f'],
    crash: false,
    refuse: false,
    odd: false,
    plain: false,
    passes: [],
    margin: 0.03,
    inputShape: [],
    rename: [],
    input: [],
    json: false,
    hash: false,
    seed: 0,
    timeout: 120,
    force: false,
    quiet: false,
    verbose: false,
    color: true,
  });
});

test.each([
  [['--strip-prefix', 'module.'], { stripPrefix: 'module.' }],
  [['--no-strip-prefix'], { stripPrefix: false }],
  [['--strip-prefix=a', '--no-strip-prefix'], { stripPrefix: false }],
  [['--passes', 'fold,fuse', '--passes=fold'], { passes: ['fold', 'fuse', 'fold'] }],
  [['--margin', '5%'], { margin: 0.05 }],
  [['--margin', '0.2'], { margin: 0.2 }],
  [['--depth', '9'], { depth: 9 }],
  [['--min-sqnr', '-100'], { minSqnr: -100 }],
  [['--min-sqnr', '1.5e1'], { minSqnr: 15 }],
  [['--timeout', '500ms'], { timeout: 0.5 }],
  [['--timeout', '2m'], { timeout: 120 }],
  [['--memory', '2GB'], { memory: 2048 }],
  [
    ['--input-shape', 'a=b=1,3,224,224', '--input-shape', '2x5'],
    {
      inputShape: [{ name: 'a=b', dims: [1, 3, 224, 224] }, { dims: [2, 5] }],
    },
  ],
  [
    ['--rename', 'a=b', '--rename', 'c='],
    {
      rename: [
        { name: 'a', value: 'b' },
        { name: 'c', value: '' },
      ],
    },
  ],
  [
    ['--input', 'x=a.npy', '--input', 'b.npy'],
    {
      input: [{ name: 'x', path: 'a.npy' }, { path: 'b.npy' }],
    },
  ],
  [['g', '--', '--json', '-x'], { files: ['f', 'g', '--json', '-x'] }],
  [['--seed', '4294967295', '--no-color', '--force'], { seed: 4294967295, color: false, force: true }],
])('%j', async (words, expected) => expect(await valuesOf(...words)).toMatchObject(expected));

test.each([
  [[], 'usage/option: FILE is missing'],
  [['f', '--depth', 'x'], 'usage/option: --depth: "x" is not a whole number'],
  [['f', '--depth', '10'], 'usage/option: --depth: "10" is not a whole number from 1 to 9'],
  [['f', '--depth', '1', '--depth', '2'], 'usage/option: --depth is given 2 times'],
  [['f', '--depth'], 'usage/option: --depth needs a value'],
  [['f', '--seed', '-1'], 'usage/option: --seed: "-1" is not a whole number from 0 to 4294967295'],
  [['f', '--margin', '3'], 'usage/option: --margin: "3" is not a share'],
  [['f', '--margin', 'x%'], 'usage/option: --margin: "x%" is not a share'],
  [['f', '--min-sqnr', 'NaN'], 'usage/option: --min-sqnr: "NaN" is not a number'],
  [['f', '--min-sqnr', '1e999'], 'usage/option: --min-sqnr: "1e999" is not a number'],
  [['f', '--timeout', '0'], 'usage/option: --timeout: "0" is not a length of time'],
  [['f', '--timeout', '3d'], 'usage/option: --timeout: "3d" is not a length of time'],
  [['f', '--memory', '__proto__'], 'usage/option: --memory: "__proto__" is not an amount of memory'],
  [['f', '--strip-prefix', ''], 'usage/option: --strip-prefix: "" is not a value: it is empty'],
  [['f', '--input-shape', 'x=1,a'], 'usage/option: --input-shape: "x=1,a" is not a shape'],
  [['f', '--rename', 'a'], 'usage/option: --rename: "a" is not FROM=TO'],
  [['f', '--passes', 'fold,fusee'], 'usage/unknown-name: --passes: there is no "fusee"'],
  [['f', '--format', 'xml'], 'usage/unknown-name: --format: there is no "xml"'],
  [['f', '--crach'], 'usage/option: act has no option --crach'],
  [['f', '--crash=1'], 'usage/option: act has no option --crash=1'],
  [['f', '--no-json'], 'usage/option: act has no option --no-json'],
  [['f', '-z'], 'usage/option: act has no option -z'],
  [[''], 'usage/option: FILE is an empty path'],
])('%j is refused', async (words, message) => expect(await refusalOf(act, words)).toContain(message));

test('a required option and a superfluous argument', async () => {
  expect(await refusalOf(write, [])).toBe(
    'usage/option: --output OUT is missing Hint: where the result goes',
  );
  expect(await refusalOf(write, ['a', 'b', '-o', 'x'])).toContain('unexpected argument "b"');
});

test('a required choice that is missing is offered with what there is', () => {
  const scheme = choice(['dynamic', 'static'], 'NAME', 'how', { required: true });
  expect(() => scheme.read([], '--scheme')).toThrow(
    expect.objectContaining({ message: '--scheme NAME is missing', hint: 'how: dynamic, static' }),
  );
});

test('the nearest name is the hint', async () => {
  expect(await refusalOf(act, ['f', '--strip-prefx', 'x'])).toContain('Hint: did you mean --strip-prefix?');
  expect(await refusalOf(act, ['f', '--format', 'jsn'])).toContain('Hint: did you mean json?');
});

test('inputs are what arguments and path options name', async () => {
  const { inputs } = await parseCommandLine(act, [
    'a',
    'b',
    '--input',
    'x=c',
    '--wait',
    'd',
    '--report',
    'e',
  ]);
  expect(inputs).toEqual(['a', 'b', 'd', 'c']);
});
