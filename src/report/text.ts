/** The report for people at a terminal: aligned columns, summary first, findings with their hints last. */
import { styleText } from 'node:util';
import { printable } from '../core/printable.ts';
import type { Finding, Report } from '../core/report.ts';
import type { Block, Column, Table } from './document.ts';
import { formatBytes, formatPlace } from './format.ts';
import { blocksOf } from './layouts/index.ts';
import type { Renderer, RenderOptions } from './renderer.ts';

/** Rows of a table and lines of a list that are shown without `-v`. */
const SHOWN_ROWS = 40;

type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow', text: string) => string;

/** Columns that a text takes on a terminal: East Asian wide characters take two, combining marks none. */
const widthOf = (text: string): number => {
  let width = 0;
  for (const character of text) {
    if (/\p{Mark}/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
};

/** Columns are no wider: one endless name must not make every row as long. */
const MAX_WIDTH = 160;

/** The width that holds all cells but the ones beyond all measure. */
const columnWidth = (cells: readonly string[]): number =>
  cells.reduce((width, cell) => (cell.length > MAX_WIDTH ? width : Math.max(width, widthOf(cell))), 0);

const pad = (text: string, width: number, align: Column['align']): string => {
  const space = text.length > MAX_WIDTH ? '' : ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'left' ? text + space : space + text;
};

const cut = <T>(rows: readonly T[], { all }: RenderOptions): readonly T[] =>
  all || rows.length <= SHOWN_ROWS + 1 ? rows : rows.slice(0, SHOWN_ROWS);

const more = (total: number, shown: number): string[] =>
  shown === total ? [] : [`  … and ${total - shown} more (-v shows them, --json has them)`];

const tableLines = ({ columns, rows }: Table, paint: Paint, options: RenderOptions): string[] => {
  const shown = cut(rows, options);
  const widths = columns.map(({ name }, at) => columnWidth([name, ...shown.map((row) => row[at] ?? '')]));
  const line = (cells: readonly string[]): string =>
    `  ${columns.map(({ align }, at) => pad(cells[at] ?? '', widths[at]!, align)).join('  ')}`.trimEnd();
  const head = columns.some(({ name }) => name !== '')
    ? [paint('dim', line(columns.map(({ name }) => name)))]
    : [];
  return [...head, ...shown.map(line), ...more(rows.length, shown.length)];
};

const blockLines = (block: Block, paint: Paint, options: RenderOptions): string[] => {
  const title = block.title === undefined ? [] : [paint('bold', block.title)];
  if (block.kind === 'table') return [...title, ...tableLines(block, paint, options)];
  if (block.kind === 'lines') {
    const shown = cut(block.lines, options);
    return [...title, ...shown.map((line) => `  ${line}`), ...more(block.lines.length, shown.length)];
  }
  const width = columnWidth(block.rows.map(([label]) => label));
  return [...title, ...block.rows.map(([label, text]) => `  ${pad(label, width, 'left')}  ${text}`)];
};

const LEVEL_STYLE = { error: 'red', warning: 'yellow', note: 'dim' } as const;

const findingLines = ({ level, rule, message, hint, at }: Finding, paint: Paint): string[] => {
  const place = at === undefined ? '' : formatPlace(at);
  return [
    `${paint(LEVEL_STYLE[level], level)} ${printable(rule)}: ${printable(message)}${place === '' ? '' : ` (${place})`}`,
    ...(hint === undefined ? [] : [`  Hint: ${printable(hint)}`]),
  ];
};

const headLine = ({ schema, subject, ok }: Report, paint: Paint): string => {
  const sha = subject.sha256 === null ? '' : `, sha256 ${subject.sha256.slice(0, 12)}`;
  const verdict = ok ? paint('green', 'ok') : paint('red', 'FAILED');
  const what = `${schema.split('@')[0]} ${printable(subject.file)}`;
  return `${paint('bold', what)} (${formatBytes(subject.bytes)}${sha}): ${verdict}`;
};

const render = (report: Report, options: RenderOptions): string => {
  const paint: Paint = options.color
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_style, text) => text;
  const lines = [headLine(report, paint)];
  for (const block of blocksOf(report, options)) lines.push('', ...blockLines(block, paint, options));
  if (report.findings.length > 0) {
    lines.push('', ...report.findings.flatMap((finding) => findingLines(finding, paint)));
  }
  return `${lines.join('\n')}\n`;
};

export const text: Renderer = { name: 'text', extension: 'txt', render };
