/** remap: how many keys went which way, what a target has to say, then the lists. */
import { groupKeys, groupText } from '../../core/key-groups.ts';
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatBytes, formatCount, formatNumber, formatShape } from '../format.ts';
import type { RemapData } from '../schemas/remap.ts';

const keyLines = (title: string, keys: readonly string[]): Block[] =>
  keys.length === 0
    ? []
    : [{ kind: 'lines', title: `${title} (${keys.length})`, lines: keys.map(printable) }];

/** More keys than this are shown by module. */
const MAX_LINES = 20;
/** The same in a cell of a table. */
const MAX_CELL = 4;

/** Keys as they are, modules of keys with their count. */
const grouped = (keys: readonly string[], limit: number): string[] =>
  groupKeys(keys, limit).map((group) =>
    printable(group.keys.length === 1 ? group.pattern : groupText(group)),
  );

const groupLines = (title: string, keys: readonly string[]): Block[] =>
  keys.length === 0
    ? []
    : [{ kind: 'lines', title: `${title} (${keys.length})`, lines: grouped(keys, MAX_LINES) }];

/** A table of what there is; nothing where there is nothing. */
const listOf = <T>(
  title: string,
  columns: readonly string[],
  items: readonly T[],
  cells: (item: T) => readonly string[],
): Block[] => (items.length === 0 ? [] : [table(columns, items.map(cells), `${title} (${items.length})`)]);

const joined = (keys: readonly string[]): string => keys.map(printable).join(', ');

const autoRows = (auto: NonNullable<RemapData['auto']>): (readonly [string, string])[] => {
  const { shape, names, order } = auto.evidence;
  return [
    ['auto', `score ${formatNumber(auto.score)}: ${shape} by shape, ${names} by names, ${order} by order`],
    ['ambiguous', formatCount(auto.ambiguous.length)],
  ];
};

/** What became of which keys. */
const doneBlocks = ({ transformed, renamed, dropped, aliases }: RemapData): Block[] => [
  ...listOf('transformed', ['rule', 'from', 'to'], transformed, ({ rule, from, to }) => [
    printable(rule),
    joined(from),
    joined(to),
  ]),
  ...listOf('renamed', ['from', 'to'], renamed, ({ from, to }) => [printable(from), printable(to)]),
  ...keyLines('dropped', dropped),
  ...listOf('aliases', ['key', 'of'], aliases, ({ key, sharedWith }) => [
    printable(key),
    printable(sharedWith),
  ]),
];

export const remapLayout: Layout<RemapData> = (data) => {
  const { keys, renamed, dropped, aliases, transformed, against, auto, output, dryRun, tensors } = data;
  const counts: readonly (readonly [string, number])[] = [
    ['renamed', renamed.length],
    ['transformed', transformed.length],
    ['dropped', dropped.length],
    ['aliases', aliases.length],
  ];
  const written =
    output === null
      ? dryRun
        ? 'a dry run: nothing was written'
        : 'nothing was written'
      : `${output.files.map(printable).join(', ')} (${output.format}, ${formatBytes(output.bytes)})`;
  // What keeps the keys from being those of the target is what matters then.
  const isRefused = against !== null && output === null && !dryRun;
  return [
    facts([
      ['keys', formatCount(keys)],
      ...counts
        .filter(([, count]) => count > 0)
        .map(([label, count]): [string, string] => [label, formatCount(count)]),
      ...(auto === null ? [] : autoRows(auto)),
      ...(against === null
        ? []
        : [
            [
              'against',
              `${formatCount(against.matched)} matched, ${against.missing.length} missing, ` +
                `${against.unexpected.length} unexpected, ${against.shapeMismatch.length} of another shape`,
            ] as const,
          ]),
      ['output', written],
    ]),
    ...(isRefused ? [] : doneBlocks(data)),
    ...(auto === null
      ? []
      : listOf('ambiguous', ['from', 'to', 'why'], auto.ambiguous, ({ from, to, reason }) => [
          grouped(from, MAX_CELL).join(', '),
          grouped(to, MAX_CELL).join(', '),
          printable(reason),
        ])),
    ...groupLines('missing', against?.missing ?? []),
    ...groupLines('unexpected', against?.unexpected ?? []),
    ...listOf(
      'of another shape',
      ['key', 'found', 'expected'],
      against?.shapeMismatch ?? [],
      ({ key, expected, actual }) => [printable(key), formatShape(actual), formatShape(expected)],
    ),
    ...listOf('to be written', ['key', 'dtype', 'shape'], tensors ?? [], ({ name, dtype, shape }) => [
      printable(name),
      dtype,
      formatShape(shape),
    ]),
  ];
};
