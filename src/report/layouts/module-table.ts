/**
 * The tree of modules as a table: indented names, with as many levels as fit on a screen unless a depth was asked for,
 * and long rows of siblings cut short.
 */
import { printable } from '../../core/printable.ts';
import { type Table, table } from '../document.ts';
import { formatBytes, formatCount } from '../format.ts';
import type { InspectWeightsData, ModuleData } from '../schemas/inspect.ts';

/** Rows that fit on a screen beside the summary. */
const SCREEN = 30;
/** Rows with the same parent that are shown. */
const SIBLINGS = 16;
/** Letters of a module's name, and of what it holds. */
const NAME_WIDTH = 48;
const HOLDS_WIDTH = 64;

/** Rows that were left out, and what they hold together. */
interface Rest {
  readonly depth: number;
  readonly rows: number;
  readonly tensors: number;
  readonly aliases: number;
  readonly parameters: number;
  readonly bytes: number;
}

type Line = ModuleData | Rest;

/** Long names lose their middle. */
const shorten = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width / 2)}…${text.slice(-width / 2 + 1)}`;

/** Rows down to a depth without those below second names; of many siblings the first ones, then one line for the others. */
const visible = (rows: readonly ModuleData[], maxDepth: number, siblings: number): Line[] => {
  const lines: Line[] = [];
  const counts: number[] = [];
  const rests: (Rest | undefined)[] = [];
  const close = (depth: number): void => {
    for (let level = rests.length - 1; level >= depth; level--) {
      const rest = rests[level];
      if (rest !== undefined) lines.push(rest);
    }
    rests.length = Math.min(rests.length, depth);
    counts.length = Math.min(counts.length, depth);
  };
  let hiddenBelow = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const { depth, tensors, aliases, parameters, bytes } = row;
    if (depth > hiddenBelow || depth > maxDepth) continue;
    close(depth + 1);
    hiddenBelow = Number.POSITIVE_INFINITY;
    const count = (counts[depth] ?? 0) + 1;
    counts[depth] = count;
    if (count <= siblings) {
      lines.push(row);
      if ('sharedWith' in row) hiddenBelow = depth;
      continue;
    }
    const rest = rests[depth] ?? { depth, rows: 0, tensors: 0, aliases: 0, parameters: 0, bytes: 0 };
    rests[depth] = {
      depth,
      rows: rest.rows + 1,
      tensors: rest.tensors + tensors,
      aliases: rest.aliases + aliases,
      parameters: rest.parameters + parameters,
      bytes: rest.bytes + bytes,
    };
    hiddenBelow = depth;
  }
  close(0);
  return lines;
};

/** The rows of the deepest level that fits on a screen, at least one level. */
const fitting = (rows: readonly ModuleData[]): Line[] => {
  const deepest = rows.reduce((depth, row) => Math.max(depth, row.depth), 0);
  let lines = visible(rows, 1, SIBLINGS);
  for (let depth = 2; depth <= deepest; depth++) {
    const more = visible(rows, depth, SIBLINGS);
    if (more.length > SCREEN) break;
    lines = more;
  }
  return lines;
};

const dimsText = (shape: readonly (number | null)[]): string =>
  `[${shape.map((dim) => dim ?? '*').join(', ')}]`;

/** `weight [64, 3, 3, 3], bias [64]`, cut to a width. */
const holdsText = ({ holds, sharedWith }: ModuleData): string => {
  if (sharedWith !== undefined) return `second names of ${printable(shorten(sharedWith, NAME_WIDTH))}`;
  const parts = holds.map(({ name, shape }) => `${printable(shorten(name, NAME_WIDTH))} ${dimsText(shape)}`);
  let text = '';
  for (const [at, part] of parts.entries()) {
    const longer = text === '' ? part : `${text}, ${part}`;
    if (longer.length > HOLDS_WIDTH && text !== '') return `${text}, + ${parts.length - at} more`;
    text = longer;
  }
  return text;
};

const nameText = (line: Line): string => {
  const indent = '  '.repeat(line.depth);
  if ('rows' in line) return `${indent}… ${line.rows} more`;
  const name = line.depth === 0 && line.name === '' ? '(root)' : printable(shorten(line.name, NAME_WIDTH));
  return `${indent}${name}${line.repeats > 1 ? ` ×${line.repeats}` : ''}`;
};

export const moduleTable = (
  { modules, depth }: InspectWeightsData,
  { all }: { readonly all: boolean },
): Table => {
  const lines = all
    ? modules
    : depth === undefined
      ? fitting(modules)
      : visible(modules, Number.POSITIVE_INFINITY, SIBLINGS);
  const hasAliases = lines.some(({ aliases }) => aliases > 0);
  return table(
    ['module', '>tensors', ...(hasAliases ? ['>aliases'] : []), '>parameters', '>size', 'holds'],
    lines.map((line) => [
      nameText(line),
      formatCount(line.tensors),
      ...(hasAliases ? [line.aliases === 0 ? '' : formatCount(line.aliases)] : []),
      formatCount(line.parameters),
      formatBytes(line.bytes),
      'rows' in line ? '' : holdsText(line),
    ]),
    'modules',
  );
};
