/** The parts of the documents that follow from the code: tables between `<!-- NAME -->` and `<!-- /NAME -->`. */
import { commonOptions } from '../../src/cli/common-options.ts';
import { optionSpelling, optionText, usageOf } from '../../src/cli/help.ts';
import type { Options } from '../../src/cli/options.ts';
import type { Tool } from '../../src/cli/tool.ts';
import { architectures } from '../../src/convert/architectures/index.ts';
import { presets } from '../../src/convert/presets/index.ts';
import { ERROR_CODES } from '../../src/core/errors.ts';
import { passes } from '../../src/passes/index.ts';
import { schemes } from '../../src/quantize/index.ts';
import { renderers } from '../../src/report/index.ts';
import { metrics } from '../../src/verify/metrics/index.ts';
import { tools } from '../../tools/index.ts';
import { HOSTILE_KINDS } from '../fuzz/hostile.ts';
import { HOSTILE_FILES } from './hostile-files.ts';
import { readSource } from './sources.ts';

const inCell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const optionTable = (options: Options): string =>
  table(
    ['option', 'what it does'],
    Object.entries(options).map(([key, option]) => [
      `\`${optionSpelling(key, option).replaceAll('|', '\\|')}\``,
      inCell(optionText(option)),
    ]),
  );

const toolSection = (tool: Tool): string => {
  const examples = tool.examples.flatMap(({ command, says }) => [`# ${says}`, command]);
  return [
    `### ${tool.name}`,
    '',
    `${tool.summary[0]!.toUpperCase()}${tool.summary.slice(1)}.${tool.description === undefined ? '' : ` ${inCell(tool.description)}`}`,
    '',
    '```sh',
    ...examples,
    '```',
    '',
    `\`${usageOf(tool)}\``,
    '',
    ...(Object.keys(tool.options).length === 0 ? [] : [optionTable(tool.options), '']),
  ].join('\n');
};

interface Named {
  readonly name: string;
  readonly summary: string;
}

const namedTable = (head: string, entries: Readonly<Record<string, Named>>): string =>
  table(
    [head, 'what it is'],
    Object.entries(entries).map(([name, { summary }]) => [`\`${name}\``, inCell(summary)]),
  );

/** Limits on untrusted input: which constant bounds what. The values are read from the source. */
const LIMITS: readonly (readonly [file: string, constant: string, what: string])[] = [
  ['src/proto/decode.ts', 'NESTING_LIMIT', 'nested messages of an ONNX model'],
  ['src/proto/decode.ts', 'LENGTH_LIMIT', 'bytes of one field of an ONNX model'],
  ['src/ir/check-function.ts', 'INLINED_NODES_LIMIT', 'nodes of all local functions when inlined'],
  [
    'src/formats/pickle.ts',
    'MAX_MEMORY',
    'bytes that the objects of all pickles of a file may take, however large it is',
  ],
  ['src/formats/pickle.ts', 'FREE_MEMORY', 'bytes that they may take however small the file is'],
  ['src/formats/pickle.ts', 'MAX_MEMORY_RATIO', 'bytes more for each byte of the file'],
  ['src/formats/pickle.ts', 'MAX_STACK', 'entries on the stack of the pickle machine'],
  ['src/formats/pickle.ts', 'MAX_MARKS', 'open marks of the pickle machine'],
  ['src/formats/pickle.ts', 'MAX_LONG', 'bytes of an integer in a pickle'],
  ['src/formats/pickle.ts', 'MAX_NAME', 'characters of a global name in a pickle'],
  ['src/formats/pickle.ts', 'MAX_OPCODES', 'opcodes of all pickles of a file'],
  ['src/formats/torch-host.ts', 'MAX_GLOBALS', 'different globals that the pickles of a file name'],
  ['src/formats/torch-structure.ts', 'MAX_DEPTH', 'levels at which state dicts are looked for'],
  ['src/formats/torch-structure.ts', 'MAX_TENSORS', 'tensors of all state dicts of a checkpoint'],
  ['src/formats/torch-content.ts', 'MAX_KEY', 'characters of the key of a tensor'],
  ['src/formats/torch-structure.ts', 'MAX_MODULES', 'modules of a pickled model'],
  ['src/formats/torch-structure.ts', 'MAX_MODULE_DEPTH', 'levels of the modules of a pickled model'],
  ['src/formats/torch-structure.ts', 'MAX_KEY_LETTERS', 'letters of the keys of a state dict'],
  [
    'src/formats/torch-content.ts',
    'MAX_BEYOND_STORAGES',
    'bytes of the tensors of a state dict beyond those of their storages',
  ],
  ['src/formats/torch-tensor.ts', 'MAX_EXPANDED', 'bytes of one expanded tensor'],
  ['src/formats/torch-sparse.ts', 'MAX_DENSE', 'bytes of a sparse tensor once it is dense'],
  [
    'src/formats/torch-archive.ts',
    'MAX_INFLATED_TOTAL',
    'bytes of all compressed storages of a checkpoint, where compressed a hundredfold',
  ],
  ['src/formats/torch-archive.ts', 'MAX_PICKLE', 'bytes of the pickle of a checkpoint'],
  ['src/formats/zip.ts', 'MAX_ENTRIES', 'entries of a zip archive'],
  ['src/formats/zip.ts', 'MAX_INFLATED', 'bytes of a compressed zip entry once inflated'],
  ['src/formats/zip.ts', 'MAX_BOMB', 'the same where it is compressed a hundredfold'],
  ['src/formats/zip.ts', 'MAX_NAME', 'characters of the name of a zip entry'],
  ['src/formats/safetensors.ts', 'MAX_HEADER', 'bytes of a safetensors header'],
  ['src/formats/safetensors.ts', 'MAX_TENSORS', 'tensors of a safetensors file'],
  ['src/formats/safetensors.ts', 'MAX_NAME', 'characters of their names'],
  ['src/formats/safetensors-header.ts', 'MAX_ENTRY', 'characters of one entry of that header'],
  ['src/formats/npy.ts', 'MAX_HEADER', 'bytes of an npy header'],
  ['src/formats/shard-index.ts', 'MAX_INDEX', 'bytes of the index of a set of shards'],
  ['src/formats/shard-index.ts', 'MAX_KEYS', 'keys of such an index'],
  ['src/formats/shard-index.ts', 'MAX_SHARDS', 'shards of one set'],
  ['src/formats/weight-folder.ts', 'MAX_CONFIG', 'bytes of a config.json'],
  ['src/formats/dcp-metadata.ts', 'MAX_METADATA', 'bytes of the metadata of a distributed checkpoint'],
  ['src/formats/dcp-metadata.ts', 'MAX_OBJECTS_MEMORY', 'bytes that the objects of that metadata may take'],
  ['src/formats/dcp-metadata.ts', 'MAX_CHUNKS', 'parts of one tensor of a distributed checkpoint'],
  ['src/formats/torch-dcp.ts', 'MAX_FILES', 'files of a distributed checkpoint'],
  [
    'src/formats/torch-dcp.ts',
    'MAX_OBJECTS',
    'objects of a distributed checkpoint that are read for its metadata',
  ],
  ['src/formats/tar.ts', 'MAX_PAX', 'bytes of a pax header in a tar checkpoint'],
  ['src/formats/torch-tar.ts', 'MAX_RECORDS', 'storages, and tensors, of a tar checkpoint'],
  ['src/formats/torchscript-classes.ts', 'MAX_SOURCE', 'bytes of a class source that is looked at'],
  ['src/formats/torchscript-module.ts', 'MAX_VISITED', 'attributes and items of a TorchScript module'],
  ['src/formats/pt2-json.ts', 'MAX_DESCRIPTION', 'bytes of all JSON and pickles of a torch.export archive'],
  ['src/formats/pt2-json.ts', 'MAX_JSON_VALUES', 'values of a JSON document in a torch.export archive'],
  ['src/formats/pt2-payload.ts', 'MAX_CONFIG', 'bytes of a payload config in a torch.export archive'],
  ['src/formats/pt2-program.ts', 'MAX_PROGRAM', 'bytes of an exported program that is read for its metadata'],
  ['src/formats/pt2.ts', 'MAX_MODELS', 'models of a torch.export archive'],
  ['src/formats/torch-tensor.ts', 'MAX_RANK', 'dimensions of a tensor in a checkpoint'],
  ['src/jobs/mapping-file.ts', 'MAX_MAPPING', 'bytes of a mapping file of remap'],
  ['src/jobs/tuned-options.ts', 'MAX_OPTIONS', 'bytes of an options file of tune'],
  ['src/jobs/mapping-file.ts', 'MAX_RULES', 'rules of a mapping file'],
  ['src/convert/mapping/entry.ts', 'MAX_KEYS', 'keys that the rules of a mapping make'],
  ['src/convert/mapping/entry.ts', 'MAX_NEW_KEY', 'characters of a key that they make'],
  ['src/convert/mapping/entry.ts', 'MAX_DEPTH', 'transforms of a tensor, one upon the other'],
  ['src/convert/mapping/pattern-syntax.ts', 'MAX_PATTERN', 'characters of a pattern in a mapping file'],
  ['src/convert/mapping/key-pattern.ts', 'MAX_PROGRAM', 'steps of a pattern, its repetitions written out'],
  ['src/convert/mapping/key-pattern.ts', 'MAX_KEY', 'characters of a key that a pattern is tried on'],
  ['src/quantize/image.ts', 'MAX_IMAGE_PIXELS', 'pixels of an image'],
];

/** The value of a constant whose initializer is arithmetic on numbers. */
const constantOf = (file: string, name: string): number => {
  const [, expression] = new RegExp(`const ${name} = ([\\d_x a-f*<()+-]+);`).exec(readSource(file)) ?? [];
  if (expression === undefined) throw new Error(`${file} has no constant ${name}`);
  return Number(new Function(`return ${expression}`)());
};

const limitTable = (): string =>
  table(
    ['limit', 'of', 'in'],
    LIMITS.map(([file, name, what]) => [
      constantOf(file, name).toLocaleString('en-US'),
      what,
      `\`${file}\` \`${name}\``,
    ]),
  );

const verdictOf = (verdict: string): string => (verdict === 'harmless' ? 'read' : `\`${verdict}\``);

const hostileFileTable = (): string =>
  table(
    ['file', 'verdict', 'reason'],
    HOSTILE_FILES.map(({ file, verdict, reason }) => [`\`${file}\``, verdictOf(verdict), inCell(reason)]),
  );

/** Kinds with the same verdict and reason share a row. */
const hostileKindTable = (): string => {
  const rows = new Map<string, { names: string[]; verdict: string; reason: string }>();
  for (const { name, verdict, reason } of HOSTILE_KINDS) {
    const row = rows.get(`${verdict} ${reason}`);
    if (row === undefined) rows.set(`${verdict} ${reason}`, { names: [name], verdict, reason });
    else row.names.push(name);
  }
  return table(
    ['kind', 'verdict', 'reason'],
    [...rows.values()].map(({ names, verdict, reason }) => [
      inCell(names.join('; ')),
      verdictOf(verdict),
      inCell(reason),
    ]),
  );
};

const errorTable = (): string =>
  table(
    ['code', 'exit', 'means'],
    Object.entries(ERROR_CODES).map(([code, { exit, summary }]) => [
      `\`${code}\``,
      String(exit),
      inCell(summary),
    ]),
  );

/** Every generated part by its marker. */
export const generatedParts = async (): Promise<ReadonlyMap<string, string>> => {
  const loaded = await Promise.all(Object.values(tools).map(async ({ load }) => (await load()).tool));
  return new Map([
    [
      'tools',
      table(
        ['command', 'does'],
        loaded.map((tool) => [`[\`${tool.name}\`](#${tool.name})`, inCell(tool.summary)]),
      ),
    ],
    ['tool-sections', loaded.map(toolSection).join('\n').trimEnd()],
    ['common-options', optionTable(commonOptions)],
    ['architectures', namedTable('architecture', architectures)],
    ['presets', namedTable('preset', presets)],
    ['passes', namedTable('pass', passes)],
    ['schemes', namedTable('scheme', schemes)],
    ['metrics', namedTable('metric', metrics)],
    [
      'formats',
      Object.keys(renderers)
        .map((name) => `\`${name}\``)
        .join(', '),
    ],
    ['errors', errorTable()],
    ['limits', limitTable()],
    ['hostile-files', hostileFileTable()],
    ['hostile-kinds', hostileKindTable()],
  ]);
};

/** The document with all generated parts renewed; unknown and unclosed markers throw. */
export const renewed = (document: string, parts: ReadonlyMap<string, string>): string =>
  document.replace(/<!-- ([a-z-]+) -->\n[\s\S]*?<!-- \/([a-z-]+) -->/g, (_, open: string, close: string) => {
    const part = parts.get(open);
    if (part === undefined || open !== close) throw new Error(`marker ${open} … ${close}`);
    return `<!-- ${open} -->\n${part}\n<!-- /${open} -->`;
  });

/** The markers that a document opens. */
export const markersOf = (document: string): string[] =>
  [...document.matchAll(/<!-- ([a-z-]+) -->/g)].map(([, name]) => name!);
