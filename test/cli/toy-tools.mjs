/** A tool that succeeds, fails, crashes or waits as its options say, and one that must have an output. */
import { outputOption } from '../../dist/src/cli/common-options.js';
import {
  argumentList,
  assignment,
  choice,
  flag,
  integer,
  namedPath,
  namedShape,
  number,
  optionalArgument,
  path,
  percent,
  text,
} from '../../dist/src/cli/options.js';
import { defineTool } from '../../dist/src/cli/tool.js';
import { ERROR_CODES, OrthoError } from '../../dist/src/core/errors.js';
import { createReport } from '../../dist/src/core/report.js';
import { writeAtomically } from '../../dist/src/jobs/output.js';

export const act = defineTool({
  name: 'act',
  summary: 'do as told',
  description: 'A tool for tests.',
  examples: [{ command: 'ortho act a.onnx', says: 'does nothing much' }],
  arguments: { files: argumentList('FILE', 'inputs') },
  options: {
    throw: choice(Object.keys(ERROR_CODES), 'CODE', 'throw this error'),
    crash: flag('throw something else'),
    refuse: flag('a report that is not ok'),
    odd: flag('an exit code of its own'),
    plain: flag('text in place of a report'),
    wait: path('FILE', 'begin to write FILE, then wait for a signal'),
    stripPrefix: text('P', 'a prefix', { negatable: true }),
    passes: choice(['fold', 'fuse'], 'A,B', 'some names', { list: true }),
    margin: percent('P', 'a share', { default: 0.03 }),
    depth: integer('N', 'a whole number', { min: 1, max: 9 }),
    minSqnr: number('DB', 'a number'),
    inputShape: namedShape('NAME=DIMS', 'shapes', { repeat: true }),
    rename: assignment('FROM=TO', 'names', { repeat: true }),
    input: namedPath('[NAME=]FILE', 'named files', { repeat: true }),
  },
  run: async (values, io) => {
    io.progress('working', 0.5);
    io.log('a detail \u001b[31m');
    io.warn('look out');
    if (values.throw !== undefined) {
      throw new OrthoError(values.throw, 'it \u001b[2J failed\nbadly', {
        hint: 'do better',
        at: { node: 'n' },
      });
    }
    if (values.crash) throw new TypeError('x is not a function');
    if (values.plain) return { text: 'plain text\n' };
    if (values.wait !== undefined) {
      await writeAtomically(
        values.wait,
        async (sink) => {
          sink.write(new Uint8Array(10));
          process.stderr.write('ready\n');
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        },
        { force: true },
      );
    }
    return createReport('act', {
      subject: { file: values.files[0], sha256: null, bytes: 1 },
      data: { ...values },
      ok: !values.refuse,
    });
  },
  exitCode: (result, { odd }) => (odd ? 3 : result.ok === false ? 1 : 0),
});

export const write = defineTool({
  name: 'write',
  summary: 'needs an output',
  examples: [],
  arguments: { file: optionalArgument('FILE', 'an input') },
  options: outputOption,
  run: async ({ output }) =>
    createReport('write', { subject: { file: output, sha256: null, bytes: 0 }, data: {} }),
});
