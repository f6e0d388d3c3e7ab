/** Option groups that tools share. `commonOptions` belongs to every tool; the others are spread where they fit. */
import { REPORT_FORMATS } from '../report/formats.ts';
import { choice, flag, integer, megabytes, namedPath, seconds, text } from './options.ts';

/** Every tool has these; the framework adds them. */
export const commonOptions = {
  json: flag('the report as JSON (= --format json)'),
  format: choice(
    REPORT_FORMATS,
    'NAME',
    'the form of the report on stdout, text unless said; html and those after it are not built yet',
  ),
  report: text('FILE', 'write the report to FILE too, in the form its extension names'),
  hash: flag('hash inputs above 64 MB too'),
  seed: integer('N', 'seed of everything random', { default: 0, min: 0, max: 4294967295 }),
  threads: integer('N', 'threads of the runtime (default: its own choice)', { min: 1, max: 1024 }),
  timeout: seconds('S', 'time limit for loading and running a model', { default: 120 }),
  memory: megabytes('MB', 'memory limit of the process that runs a model'),
  force: flag('replace an output that exists'),
  quiet: flag('nothing on stderr but errors', { short: 'q' }),
  verbose: flag('details on stderr', { short: 'v' }),
  color: flag('no colours (NO_COLOR does the same)', { default: true }),
} as const;

/** `-o`, for tools that always write a file. */
export const outputOption = {
  output: text('OUT', 'where the result goes', { short: 'o', required: true }),
} as const;

/** A reference case in `.npy` files, in place of --reference, and how far outputs may be off; for tools that compare. */
export const caseOptions = {
  input: namedPath('[NAME=]x.npy', 'an input of the reference case', { repeat: true }),
  expect: namedPath('[NAME=]y.npy', 'an output expected for it', { repeat: true }),
  tolerance: text('[OUT=]atol:1e-4,rtol:1e-3', 'how far outputs may be off (also max:N)', { repeat: true }),
} as const;
