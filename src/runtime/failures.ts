/**
 * What ONNX Runtime's error texts mean. Its errors carry no code, so the text decides; what nothing here knows is
 * `runtime/failed` with the runtime's own first line.
 */
import { basename } from 'node:path';
import { type ErrorCode, OrthoError } from '../core/errors.ts';

interface Rule {
  readonly text: RegExp;
  readonly code: ErrorCode;
  readonly hint?: string;
}

/** First match wins: the special before the general. */
const RULES: readonly Rule[] = [
  {
    text: /failed\. ?File doesn't exist|NO_SUCHFILE/,
    code: 'file/not-found',
  },
  {
    text: /external[ _]data|external_file_path|External initializer|Absolute path not allowed|escapes model directory/i,
    code: 'model/external-data',
    hint: 'keep the data file beside the model, with the name and the size that the model states',
  },
  {
    text: /Could not find an implementation|is not a registered function\/op|No Op registered for|under development and support for this is limited|ONNX Runtime only \*guarantees\* support|Unsupported model IR version/,
    code: 'op/unsupported',
    hint: 'inspect --check names operators and opsets that no runtime knows; another opset may help',
  },
  {
    text: /^(Error: )?Unsupported data type: \d+|Tensor\.type is not supported|Non tensor type is temporarily not supported/,
    code: 'dtype/unsupported',
    hint: 'add a Cast at the border of the graph to a type that the runtime can pass',
  },
  {
    text: /Got invalid dimensions for input|Invalid rank for input/,
    code: 'usage/input-shape',
  },
  { text: /Unexpected input data type|is missing in 'feeds'/, code: 'usage/option' },
  {
    text: /AllocateRawInternal|bad_alloc|Failed to allocate memory|bad allocation|Array buffer allocation failed/,
    code: 'runtime/memory',
    hint: 'the model asks for more memory than the machine can give',
  },
  {
    text: /open file .* failed|No space left on device|system error number (2|13|21|28|30)\b/,
    code: 'output/unwritable',
  },
  {
    text: /protobuf parsing failed|INVALID_PROTOBUF|This is an invalid model|graph is not acyclic|INVALID_GRAPH|Model data size exceeds|Type Error:|Node input .* is not a graph input|ModelProto does not have a graph/i,
    code: 'model/invalid',
    hint: 'inspect --check lists all its faults',
  },
];

const LONGEST = 300;

/**
 * The part of a runtime's message that says something: its first line (and the list of wrong indices that it ends
 * with a colon for), without error prefix and C++ source places.
 */
export const firstLine = (text: string): string => {
  const [first = '', ...rest] = text
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const line = [first, ...rest.filter((part) => part.startsWith('index:'))].join('; ');
  const clean = line
    .replace(/^Error: /, '')
    .replace(/\[ONNXRuntimeError\] : \d+ : \w+ : /g, '')
    .replace(/^Load model from .* failed:\s*/, '')
    .replace(/^Exception during initialization: /, '')
    .replace(/\/[^\s:]*\.(?:cc|h|cpp):\d+ /g, '')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
    .trim();
  const said = clean === '' ? 'no reason given' : clean;
  return said.length > LONGEST ? `${said.slice(0, LONGEST)}…` : said;
};

/**
 * An error of ONNX Runtime as an OrthoError that names the model.
 * @param verb what was being done: `load`, `run`, `optimise`.
 */
export const classifyFailure = (cause: unknown, modelPath: string, verb: string): OrthoError => {
  if (cause instanceof OrthoError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const rule = RULES.find((candidate) => candidate.text.test(text));
  const message = `${basename(modelPath)}: ONNX Runtime could not ${verb} it: ${firstLine(text)}`;
  return new OrthoError(rule?.code ?? 'runtime/failed', message, {
    ...(rule?.hint === undefined ? {} : { hint: rule.hint }),
    at: { file: modelPath },
  });
};
