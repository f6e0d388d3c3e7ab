/**
 * inspect of weights: what it is, then the modules as a tree (all tensors where there are few, where some were asked
 * for, and with `all`). `--globals` shows the globals in place of the tensors.
 */
import { printable } from '../../core/printable.ts';
import { type Block, type Facts, facts, type Table, table } from '../document.ts';
import { formatBytes, formatCount, formatNumber, formatScalar, formatShape } from '../format.ts';
import type { ElementFindings } from '../schemas/common.ts';
import type { InspectWeightsData, WeightTensorData } from '../schemas/inspect.ts';
import { moduleTable } from './module-table.ts';

type Row = Facts['rows'][number];

/** Up to so many tensors are listed without being asked for. */
const FEW = 20;
/** Names of tensors without modules that fit in one row. */
const FLAT_NAMES = 4;
/** Keys that speak against an architecture, and globals, that are named in one line. */
const NAMED = 3;
/** Entries of a nested mapping that have lines of their own. */
const SPREAD = 24;
/** Lines of metadata without `all`. */
const METADATA_LINES = 24;
/** Letters of a value in the metadata. */
const VALUE_WIDTH = 100;

export const formatElements = (found: ElementFindings | null): string => {
  if (found === null) return 'not counted (--stats counts them)';
  return found.elements === 0 ? 'none' : `${found.elements} in ${found.tensors} tensors`;
};

export const optional = (label: string, text: string | undefined): Row[] =>
  text === undefined || text === '' ? [] : [[label, text]];

const pathName = (path: string): string => (path === '' ? '(root)' : printable(path));

const named = (keys: readonly string[]): string => {
  const shown = keys.slice(0, NAMED).map((key) => `"${printable(key)}"`);
  return keys.length > NAMED ? `${shown.join(', ')} …` : shown.join(', ');
};

const architectureRows = ({ architecture, architectureMatch: match }: InspectWeightsData): Row[] => {
  if (match === null) return [['architecture', 'none of the known ones']];
  const under = match.prefix === undefined ? '' : ` under "${printable(match.prefix)}"`;
  const share = `${formatNumber(Math.floor(match.score * 1000) / 10)} %`;
  const against: Row[] = [
    ...optional(
      '  missing',
      match.missing.length === 0 ? '' : `${match.missing.length}: ${named(match.missing)}`,
    ),
    ...optional(
      '  unexpected',
      match.unexpected.length === 0 ? '' : `${match.unexpected.length}: ${named(match.unexpected)}`,
    ),
    ...optional(
      '  other shape',
      match.mismatched
        .slice(0, NAMED)
        .map(
          ({ key, expected, found }) => `"${printable(key)}" ${printable(found)}, not ${printable(expected)}`,
        )
        .join('; '),
    ),
  ];
  return architecture === null
    ? [
        [
          'architecture',
          `none of the known ones; the nearest is ${printable(match.name)}${under}, which explains ${share} of the keys (matched ${match.matched}, missing ${match.missing.length}, unexpected ${match.unexpected.length}, of another shape ${match.mismatched.length})`,
        ],
      ]
    : [['architecture', `${printable(architecture)}${under}, ${share}`], ...against];
};

const dtypesText = ({ dtypes }: InspectWeightsData): string =>
  Object.entries(dtypes)
    .map(([dtype, { tensors, bytes }]) => `${tensors} ${dtype} (${formatBytes(bytes)})`)
    .join(', ');

const stateDictRow = ({ stateDict, stateDicts }: InspectWeightsData): Row[] => {
  if (stateDict === null) return [['state dict', 'none']];
  const others = stateDicts
    .filter(({ path }) => path !== stateDict.path)
    .map(({ path, tensors }) => `${pathName(path)} (${tensors})`);
  const shown = others.length > 8 ? [...others.slice(0, 8), `and ${others.length - 8} more`] : others;
  return [
    ['state dict', `${pathName(stateDict.path)}: ${stateDict.why}`],
    ...optional('  others', shown.join(', ')),
  ];
};

const safetyText = ({ verdict, globals }: InspectWeightsData): string => {
  if (globals.length === 0) return 'safe (it names no Python globals)';
  if (verdict === 'safe') return 'safe (its Python globals are plain data)';
  const bad = globals.filter(({ kind }) => kind === verdict).map(({ name }) => name);
  return `${verdict}: ${named(bad)} (--globals says what they do)`;
};

const summary = (data: InspectWeightsData): Facts => {
  const aliases = data.modules[0]?.aliases ?? 0;
  const count = data.selection === undefined ? data.tensors.length : data.selection.of;
  return facts([
    ['format', data.format],
    ...architectureRows(data),
    ...stateDictRow(data),
    [
      'tensors',
      `${formatCount(count)}${aliases === 0 ? '' : `, ${formatCount(aliases)} of them under a second name`}`,
    ],
    ...optional(
      'left out',
      data.refused === undefined
        ? ''
        : `${data.refused.length}: ${named(data.refused.map(({ name }) => name))}`,
    ),
    ['parameters', `${formatCount(data.parameters)} (${formatBytes(data.bytes)})`],
    ...optional('dtypes', dtypesText(data)),
    ['subnormals', formatElements(data.subnormals)],
    ['non-finite', formatElements(data.nonFinite)],
    ['safety', safetyText(data)],
  ]);
};

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const inline = (value: unknown): string => {
  const text =
    typeof value === 'object' && value !== null ? printable(JSON.stringify(value)) : formatScalar(value);
  return text.length > VALUE_WIDTH ? `${text.slice(0, VALUE_WIDTH)}…` : text;
};

const cutRows = (rows: readonly Row[], all: boolean): readonly Row[] =>
  all || rows.length <= METADATA_LINES
    ? rows
    : [
        ...rows.slice(0, METADATA_LINES - 1),
        [`… and ${rows.length - METADATA_LINES + 1} more`, '-v shows them'],
      ];

/** Plain values beside the tensors; the entries of a small mapping (args, config) get lines of their own. */
const metadataRows = (metadata: InspectWeightsData['metadata']): Row[] =>
  Object.entries(metadata).flatMap(([key, value]): Row[] => {
    const inner = isMapping(value) ? Object.entries(value) : [];
    if (inner.length === 0 || inner.length > SPREAD) return [[printable(key), inline(value)]];
    return inner.map(([name, each]) => [printable(`${key}.${name}`), inline(each)]);
  });

const SPARKS = '▁▂▃▄▅▆▇█';

/** A bar a bin, as tall as the bin is full beside the fullest one; a space for an empty bin. */
const sparkline = (counts: readonly number[]): string => {
  const most = Math.max(1, ...counts);
  return counts
    .map((each) => (each === 0 ? ' ' : SPARKS[Math.min(7, Math.floor((each / most) * 8))]))
    .join('');
};

const statisticsCells = ({ stats }: WeightTensorData): string[] => {
  if (stats === undefined) return ['', '', '', '', '', '', '', ''];
  const { min, max, mean, std, norm, zeros, subnormals, nans, infinities } = stats;
  return [
    ...[min, max, mean, std, norm].map(formatScalar),
    ...[zeros, subnormals, nans + infinities].map(formatCount),
  ];
};

const tensorTable = ({ tensors }: InspectWeightsData): Table => {
  const hasShared = tensors.some(({ sharedWith }) => sharedWith !== undefined);
  const hasStats = tensors.some(({ stats }) => stats !== undefined);
  const hasHistograms = tensors.some(({ histogram }) => histogram !== undefined);
  return table(
    [
      'tensor',
      'dtype',
      'shape',
      '>bytes',
      ...(hasStats ? ['>min', '>max', '>mean', '>std', '>norm', '>zeros', '>subnormal', '>non-finite'] : []),
      ...(hasHistograms ? ['min to max'] : []),
      ...(hasShared ? ['shared with'] : []),
    ],
    tensors.map((tensor) => [
      printable(tensor.name),
      tensor.dtype,
      formatShape(tensor.shape),
      String(tensor.bytes),
      ...(hasStats ? statisticsCells(tensor) : []),
      ...(hasHistograms
        ? [tensor.histogram === undefined ? '' : `|${sparkline(tensor.histogram.counts)}|`]
        : []),
      ...(hasShared ? [tensor.sharedWith === undefined ? '' : printable(tensor.sharedWith)] : []),
    ]),
  );
};

const globalBlocks = (
  { format, verdict, globals }: InspectWeightsData,
  { meaning, effects }: NonNullable<InspectWeightsData['autopsy']>,
): Block[] => {
  const uses = new Map(globals.map((use) => [use.name, use]));
  const rows = effects.map(({ name, kind, effect }) => {
    const { calls = 0, first } = uses.get(name) ?? {};
    // The pickle's label begins with the path of the file.
    const pickle = first?.pickle.slice(first.pickle.lastIndexOf(': ') + 1).trim();
    const place = first === undefined ? '' : `${printable(pickle ?? '')}, byte ${first.byte}`;
    return [printable(name), kind, String(calls), place, printable(effect)];
  });
  return [
    facts([
      ['format', format],
      ['verdict', verdict],
      ['meaning', meaning],
    ]),
    ...(rows.length === 0
      ? []
      : [table(['global', 'kind', '>calls', 'first named', 'in Python it'], rows, 'globals')]),
  ];
};

/** No modules to make a tree of, and more names than a row can show. */
const isFlat = ({ modules }: InspectWeightsData): boolean =>
  modules.length === 1 && modules[0]!.holds.length > FLAT_NAMES;

export const weightBlocks = (data: InspectWeightsData, { all }: { readonly all: boolean }): Block[] => {
  if (data.autopsy !== undefined) return globalBlocks(data, data.autopsy);
  const metadata = metadataRows(data.metadata);
  const isSelected = data.selection !== undefined || data.tensors.some(({ stats }) => stats !== undefined);
  const isListed = all || isSelected || data.tensors.length <= FEW || isFlat(data);
  const hasTree = data.modules.length > 0 && !isSelected && (all || data.depth !== undefined || !isListed);
  return [
    summary(data),
    ...(metadata.length === 0 ? [] : [facts(cutRows(metadata, all), 'metadata')]),
    ...(hasTree ? [moduleTable(data, { all })] : []),
    ...(isListed && data.tensors.length > 0 ? [tensorTable(data)] : []),
  ];
};
