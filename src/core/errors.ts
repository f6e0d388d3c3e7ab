/**
 * The one error class of ortho and the closed list of its codes.
 *
 * A message says what failed, where, what was found against what was expected; the hint says what to do next.
 * The part before the slash names the subject; the exit code of a tool follows from the code.
 */

/** Process exit codes (the contract of every tool). */
export const EXIT = {
  ok: 0,
  checkFailed: 1,
  usage: 2,
  inputInvalid: 3,
  unsupported: 4,
  runtime: 5,
  bug: 70,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Every error code with the exit code it leads to and what it means. SECURITY.md and README quote this table. */
export const ERROR_CODES = {
  'usage/option': { exit: EXIT.usage, summary: 'unknown or malformed option, command or argument' },
  'usage/conflict': { exit: EXIT.usage, summary: 'options that contradict each other' },
  'usage/output-exists': { exit: EXIT.usage, summary: 'the output exists and --force was not given' },
  'usage/unknown-name': { exit: EXIT.usage, summary: 'a name that no registry lists' },
  'usage/input-shape': { exit: EXIT.usage, summary: 'an input shape the model cannot have' },
  'config/invalid': { exit: EXIT.usage, summary: 'a job file that does not fit its schema' },

  'file/not-found': { exit: EXIT.inputInvalid, summary: 'an input file does not exist or cannot be read' },
  'file/unknown-format': { exit: EXIT.inputInvalid, summary: 'content that is none of the known formats' },
  'file/truncated': { exit: EXIT.inputInvalid, summary: 'a file that ends before its content does' },
  'file/ambiguous': {
    exit: EXIT.inputInvalid,
    summary: 'a folder with several weight files and nothing that says which is meant',
  },
  'file/limit': { exit: EXIT.inputInvalid, summary: 'a file beyond one of the documented limits' },

  'checkpoint/invalid': {
    exit: EXIT.inputInvalid,
    summary: 'a PyTorch checkpoint that is damaged or malformed',
  },
  'checkpoint/refused-global': {
    exit: EXIT.inputInvalid,
    summary: 'a checkpoint that asks for code outside the allow-list',
  },
  'checkpoint/no-state-dict': {
    exit: EXIT.inputInvalid,
    summary: 'a checkpoint without tensors at the path asked for',
  },
  'checkpoint/unsupported': { exit: EXIT.unsupported, summary: 'a checkpoint feature that is not supported' },
  'safetensors/invalid': {
    exit: EXIT.inputInvalid,
    summary: 'a safetensors file that is damaged or malformed',
  },
  'numpy/invalid': { exit: EXIT.inputInvalid, summary: 'an npy or npz file that is damaged or malformed' },

  'model/invalid': { exit: EXIT.inputInvalid, summary: 'an ONNX model that breaks the specification' },
  'model/truncated': { exit: EXIT.inputInvalid, summary: 'an ONNX model that is cut off' },
  'model/external-data': {
    exit: EXIT.inputInvalid,
    summary: 'external data that is missing, too short or outside the model folder',
  },
  'model/text-syntax': { exit: EXIT.inputInvalid, summary: 'ONNX text that does not parse' },

  'op/unsupported': {
    exit: EXIT.unsupported,
    summary: 'an operator, attribute or opset that ortho cannot handle',
  },
  'dtype/unsupported': {
    exit: EXIT.unsupported,
    summary: 'an element type that the operation cannot handle',
  },
  'report/unsupported-format': { exit: EXIT.unsupported, summary: 'a report format that is not built yet' },
  'convert/no-architecture': { exit: EXIT.unsupported, summary: 'no known architecture has these keys' },

  'weights/missing-key': {
    exit: EXIT.checkFailed,
    summary: 'the architecture needs keys that the state dict lacks',
  },
  'weights/unexpected-key': {
    exit: EXIT.checkFailed,
    summary: 'the state dict has keys that the architecture does not know',
  },
  'weights/shape-mismatch': {
    exit: EXIT.checkFailed,
    summary: 'a tensor has another shape than the architecture needs',
  },
  'weights/key-collision': { exit: EXIT.checkFailed, summary: 'two keys would get the same name' },
  'weights/ambiguous': {
    exit: EXIT.checkFailed,
    summary: 'keys that can be mapped in several equally good ways',
  },
  'verify/case': {
    exit: EXIT.inputInvalid,
    summary: 'a stored case that does not fit the model it is for',
  },
  'verify/parity': { exit: EXIT.checkFailed, summary: 'outputs differ beyond the tolerance' },
  'verify/nothing-compared': { exit: EXIT.checkFailed, summary: 'no output was compared' },
  'baseline/invalid': {
    exit: EXIT.inputInvalid,
    summary: 'a stored baseline of latencies that is damaged or malformed',
  },
  'baseline/refused': {
    exit: EXIT.inputInvalid,
    summary: 'a stored baseline that says nothing here: another machine, runtime or option',
  },
  'quantize/refused': { exit: EXIT.checkFailed, summary: 'the quantised model is below the quality bar' },

  'tune/mismatch': {
    exit: EXIT.checkFailed,
    summary: 'tuned options that were found for another model or on another machine',
  },

  'runtime/failed': { exit: EXIT.runtime, summary: 'the runtime refused to load or run the model' },
  'runtime/crashed': { exit: EXIT.runtime, summary: 'the process that ran the model died' },
  'runtime/timeout': { exit: EXIT.runtime, summary: 'the model ran longer than the time limit' },
  'runtime/memory': { exit: EXIT.runtime, summary: 'the model used more memory than the limit' },
  'runtime/missing-package': { exit: EXIT.runtime, summary: 'an optional package is not installed' },
  'output/unwritable': {
    exit: EXIT.runtime,
    summary: 'an output cannot be written (permissions, disk full)',
  },

  'internal/bug': { exit: EXIT.bug, summary: 'a defect of ortho itself' },
  'internal/interrupted': { exit: EXIT.interrupted, summary: 'stopped by the user' },
} as const satisfies Record<string, { exit: ExitCode; summary: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Where something went wrong: any of a file, a node, a value, a state-dict key. */
export interface Place {
  readonly file?: string;
  readonly node?: string;
  readonly value?: string;
  readonly key?: string;
}

/** The error that ortho throws on purpose; anything else that escapes is a bug (exit 70). */
export class OrthoError extends Error {
  override readonly name = 'OrthoError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly at: Place;

  constructor(code: ErrorCode, message: string, more: { hint?: string; at?: Place; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.hint = more.hint;
    this.at = more.at ?? {};
  }

  get exitCode(): ExitCode {
    return ERROR_CODES[this.code].exit;
  }
}
