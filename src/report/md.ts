/**
 * The report as GitHub-flavoured Markdown. What comes from files is shown as it is spelt: text that could be markup,
 * a mention, an issue number or a link becomes a code span, and bars are escaped for the table around it.
 */
import { printable } from '../core/printable.ts';
import type { Finding, Report } from '../core/report.ts';
import type { Block, Table } from './document.ts';
import { formatBytes, formatPlace } from './format.ts';
import { blocksOf } from './layouts/index.ts';
import type { Renderer, RenderOptions } from './renderer.ts';

/** Letters, digits and punctuation that mean nothing in Markdown. */
const PLAIN = /^[\p{L}\p{N} .,:;%+/=()[\]×–±"'?-]*$/u;
const LINKS = /\]\(|\/\/|www\./;

/** Text of a fact: as it is where harmless, else a code span, fenced by more backticks than it holds. */
export const markdownText = (text: string): string => {
  const trimmed = text.trim();
  if (PLAIN.test(trimmed) && !LINKS.test(trimmed)) return trimmed;
  const longest = Math.max(0, ...[...trimmed.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const space = trimmed.startsWith('`') || trimmed.endsWith('`') ? ' ' : '';
  return `${fence}${space}${trimmed}${space}${fence}`;
};

const indentOf = (text: string): number => text.length - text.trimStart().length;

/** The same inside a table, where a bar would end the cell and spaces in front would be lost. */
const cell = (text: string): string =>
  '&nbsp;'.repeat(indentOf(text)) + markdownText(text).replaceAll('|', '\\|');

/** Prose with the characters of Markdown escaped; a mention is cut with a zero-width space. */
const prose = (text: string): string =>
  printable(text)
    .replace(/[\\`*_[\]|~#$]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('@', '@&#8203;');

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const tableLines = ({ columns, rows }: Table): string[] => [
  row(columns.map(({ name }) => cell(name))),
  row(columns.map(({ align }) => (align === 'right' ? '---:' : '---'))),
  ...rows.map((cells) => row(columns.map((_, at) => cell(cells[at] ?? '')))),
];

const blockLines = (block: Block): string[] => {
  const title = block.title === undefined ? [] : [`### ${prose(block.title)}`, ''];
  if (block.kind === 'table') return [...title, ...tableLines(block)];
  if (block.kind === 'lines') return [...title, ...block.lines.map((line) => `- ${markdownText(line)}`)];
  return [
    ...title,
    ...block.rows.map(
      ([label, text]) => `${' '.repeat(indentOf(label))}- ${prose(label.trimStart())}: ${markdownText(text)}`,
    ),
  ];
};

const findingLine = ({ level, rule, message, hint, at }: Finding): string => {
  const place = at === undefined ? '' : formatPlace(at);
  return [
    `- **${level}** ${markdownText(printable(rule))}: ${prose(message)}`,
    ...(place === '' ? [] : [` (${prose(place)})`]),
    ...(hint === undefined ? [] : [`. Hint: ${prose(hint)}`]),
  ].join('');
};

const render = (report: Report, options: RenderOptions): string => {
  const { schema, subject, ok, version, findings } = report;
  const sha = subject.sha256 === null ? '' : `, sha256 \`${subject.sha256}\``;
  const lines = [
    `## ${schema.split('@')[0]}: ${markdownText(printable(subject.file))}: ${ok ? 'ok' : '**FAILED**'}`,
    '',
    `${formatBytes(subject.bytes)}${sha}, ortho ${version}`,
  ];
  for (const block of blocksOf(report, options)) lines.push('', ...blockLines(block));
  if (findings.length > 0) lines.push('', '### findings', '', ...findings.map(findingLine));
  return `${lines.join('\n')}\n`;
};

export const md: Renderer = { name: 'md', extension: 'md', render };
