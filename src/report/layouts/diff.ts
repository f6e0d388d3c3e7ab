/** diff: the verdict and the counts, the modules that differ, then what differs, the gravest first. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatBytes, formatCount, formatNumber, formatShape, NONE } from '../format.ts';
import type { DiffChange, DiffData } from '../schemas/diff.ts';

const VERDICTS: Readonly<Record<DiffData['verdict'], string>> = {
  identical: 'identical: the same keys, shapes, dtypes and bytes',
  renamed: 'renamed: the same tensors under other names',
  'equal-values': 'equal values, stored otherwise',
  different: 'different',
};

const number = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : formatNumber(value);

/** A norm relative to one that is zero has no bound. */
const relative = (value: number | null): string => (value === null ? 'inf' : formatNumber(value));

const sideText = ({ file, format, stateDict, tensors, bytes }: DiffData['a']): string => {
  const where = stateDict === '' ? '' : `, "${printable(stateDict)}"`;
  return `${printable(file)} (${format}${where}, ${formatCount(tensors)} tensors, ${formatBytes(bytes)})`;
};

const KINDS = ['changed', 'tolerated', 'added', 'removed', 'renamed', 'notCompared'] as const;
const KIND_NAMES = { tolerated: 'within tolerance', notCompared: 'not compared' } as const;
const kindName = (kind: string): string => (KIND_NAMES as Readonly<Record<string, string>>)[kind] ?? kind;

const moduleTable = (modules: DiffData['modules']): Block[] => {
  // A module of one tensor is a row below already.
  const differing = modules.filter(({ tensors, equal }) => tensors > 1 && tensors > equal);
  if (differing.length === 0 || modules.length < 2) return [];
  const kinds = KINDS.filter((kind) => differing.some((module) => module[kind] > 0));
  const hasWorst = differing.some(({ worst }) => worst !== null);
  const rows = differing.map((module) => [
    printable(module.name),
    String(module.tensors),
    ...kinds.map((kind) => (module[kind] === 0 ? '' : String(module[kind]))),
    ...(hasWorst ? [module.worst === null ? '' : relative(module.worst.relative)] : []),
  ]);
  const columns = [
    'module',
    '>tensors',
    ...kinds.map((kind) => `>${kindName(kind)}`),
    ...(hasWorst ? ['>worst relative'] : []),
  ];
  return [table(columns, rows, 'modules that differ')];
};

const pair = (a: string, b: string): string => (a === b ? a : `${a} → ${b}`);

const formText = ({ a, b }: DiffChange): string =>
  `${pair(a.dtype, b.dtype)} ${pair(formatShape(a.shape), formatShape(b.shape))}`;

const share = ({ values }: DiffChange): string =>
  values === null ? NONE : `${formatCount(values.differing)} of ${formatCount(values.elements)}`;

const changeTable = (changes: readonly DiffChange[], title: string): Block[] => {
  if (changes.length === 0) return [];
  const hasNonFinite = changes.some(({ values }) => (values?.nonFinite.differing ?? 0) > 0);
  const columns = ['tensor', 'what', 'type', '>differ', '>max abs', '>relative', '>cosine'];
  const rows = changes.map((change) => {
    const { name, what, values } = change;
    return [
      printable(name),
      what,
      formText(change),
      share(change),
      number(values?.maxAbs),
      values === null || values.differing === 0 ? NONE : relative(values.relative),
      number(values?.cosine),
      ...(hasNonFinite ? [String(values?.nonFinite.differing || '')] : []),
    ];
  });
  return [
    table([...columns, ...(hasNonFinite ? ['>non-finite'] : [])], rows, `${title} (${changes.length})`),
  ];
};

const keyLines = (title: string, keys: readonly string[]): Block[] =>
  keys.length === 0 ? [] : [{ kind: 'lines', title: `${title} (${keys.length})`, lines: keys }];

type Pair = DiffData['renamed'][number];

/** Whether the common prefix explains a pair: those are said once. */
const isByPrefix = ({ prefix }: DiffData, { from, to }: Pair): boolean =>
  prefix !== null && (prefix.of === 'a' ? from === prefix.prefix + to : to === prefix.prefix + from);

const prefixText = ({ prefix }: DiffData): string => {
  if (prefix === null) return NONE;
  const [one, other] = prefix.of === 'a' ? ['A', 'B'] : ['B', 'A'];
  const content = prefix.equal === prefix.keys ? 'the same' : `${formatCount(prefix.equal)} the same`;
  return `${printable(prefix.prefix)}KEY in ${one} is KEY in ${other}: ${formatCount(prefix.keys)} keys, ${content}`;
};

/** The keys that only one file has, without those that the common prefix explains. */
const unexplained = ({
  added,
  removed,
  prefix,
}: DiffData): { readonly a: string[]; readonly b: string[] } => {
  const names = { a: new Set(removed), b: new Set(added) };
  if (prefix !== null) {
    const other = prefix.of === 'a' ? names.b : names.a;
    for (const key of [...names[prefix.of]]) {
      const isExplained = key.startsWith(prefix.prefix) && other.delete(key.slice(prefix.prefix.length));
      if (isExplained) names[prefix.of].delete(key);
    }
  }
  return { a: [...names.a], b: [...names.b] };
};

const short = (value: unknown): string => {
  const text = value === undefined ? NONE : JSON.stringify(value);
  return printable(text.length > 60 ? `${text.slice(0, 60)}…` : text);
};

export const diffLayout: Layout<DiffData> = (data) => {
  const { totals, notCompared, metadata } = data;
  const counts = (['equal', ...KINDS] as const)
    .filter((kind) => totals[kind] > 0)
    .map((kind) => `${formatCount(totals[kind])} ${kindName(kind)}`);
  const renames = data.renamed.filter((each) => !isByPrefix(data, each));
  const only = unexplained(data);
  return [
    facts([
      ['verdict', VERDICTS[data.verdict]],
      ['A', sideText(data.a)],
      ['B', sideText(data.b)],
      ['tensors', counts.length === 0 ? 'none' : counts.join(', ')],
      ...(data.prefix === null ? [] : ([['prefix', prefixText(data)]] as const)),
    ]),
    ...moduleTable(data.modules),
    ...changeTable(data.changed, 'changed'),
    ...keyLines('only in A', only.a.map(printable)),
    ...keyLines('only in B', only.b.map(printable)),
    ...keyLines(
      'renamed',
      renames.map(
        ({ from, to, ambiguous }) =>
          `${printable(from)} → ${printable(to)}${ambiguous === true ? ' (ambiguous)' : ''}`,
      ),
    ),
    ...changeTable(data.tolerated, 'within the tolerance'),
    ...keyLines(
      'not compared',
      notCompared.map(({ name, reason }) => `${printable(name)}: ${printable(reason)}`),
    ),
    ...(metadata.length === 0
      ? []
      : [
          table(
            ['metadata', 'A', 'B'],
            metadata.map((each) => [printable(each.key), short(each.a), short(each.b)]),
          ),
        ]),
  ];
};
