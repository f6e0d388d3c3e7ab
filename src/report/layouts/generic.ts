/** The layout of any data: scalars become facts, arrays of records tables, other arrays lists. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout } from '../document.ts';
import { formatLabel, formatScalar, NONE } from '../format.ts';
import type { ParityData } from '../schemas/verify.ts';
import { parityBlocks } from './parity.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Arrays of scalars up to this length (in characters) stay on the line of their label. */
const INLINE = 80;

/** Below this depth nested values are only counted. */
const DEEPEST = 4;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const inline = (value: unknown, depth = 0): string => {
  if (Array.isArray(value)) {
    if (depth >= DEEPEST) return `${value.length} items`;
    return value.length === 0 ? 'none' : value.map((one) => inline(one, depth + 1)).join(', ');
  }
  if (!isFields(value)) return formatScalar(value);
  const entries = Object.entries(value);
  if (depth >= DEEPEST) return `${entries.length} fields`;
  if (entries.length === 0) return 'none';
  return entries.map(([key, one]) => `${printable(key)} ${inline(one, depth + 1)}`).join(', ');
};

const isNumeric = (values: readonly unknown[]): boolean =>
  values.some((value) => typeof value === 'number') &&
  values.every((value) => typeof value === 'number' || value === null || value === undefined);

const recordTable = (title: string, records: readonly Fields[]): Block => {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  return {
    kind: 'table',
    title,
    columns: names.map((name) => ({
      name: formatLabel(name),
      align: isNumeric(records.map((record) => record[name])) ? 'right' : 'left',
    })),
    rows: records.map((record) => names.map((name) => inline(record[name]))),
  };
};

const isParity = (value: Fields): boolean => Array.isArray(value.cases) && isFields(value.tolerance);

/** Blocks of a record: its facts in one block, then each longer part under its name. */
export const genericLayout: Layout<unknown> = (data) => {
  if (!isFields(data)) return [facts([['data', inline(data)]])];
  const rows: [string, string][] = [];
  const parts: Block[] = [];
  for (const [key, value] of Object.entries(data)) {
    const label = formatLabel(key);
    if (Array.isArray(value) && value.length > 0 && value.every(isFields)) {
      parts.push(recordTable(label, value));
    } else if (Array.isArray(value)) {
      const text = value.length === 0 ? NONE : inline(value);
      if (text.length <= INLINE) rows.push([label, text]);
      else
        parts.push({
          kind: 'lines',
          title: `${label} (${value.length})`,
          lines: value.map((one) => inline(one)),
        });
    } else if (isFields(value) && isParity(value)) {
      // What has the cases and tolerance of a comparison is one: every report spells parity the same way.
      parts.push(...parityBlocks(value as unknown as ParityData, label));
    } else rows.push([label, inline(value)]);
  }
  return rows.length === 0 ? parts : [facts(rows), ...parts];
};
