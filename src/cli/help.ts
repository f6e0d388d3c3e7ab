/** Help texts, generated from the descriptors. Examples come first: they are what most readers want. */
import { commonOptions } from './common-options.ts';
import { type Arguments, type Option, type Options, spellingOf } from './options.ts';
import type { Tool } from './tool.ts';

const argumentWord = ({ metavar, isOptional, isVariadic }: Arguments[string]): string => {
  const word = isVariadic ? `${metavar}...` : metavar;
  return isOptional ? `[${word}]` : word;
};

/** `ortho inspect FILE [options]`, required options named. */
export const usageOf = (tool: Tool): string => {
  const required = Object.entries(tool.options)
    .filter(([, option]) => option.isRequired)
    .map(([key, { short, metavar }]) => `${short === undefined ? spellingOf(key) : `-${short}`} ${metavar}`);
  const words = Object.values(tool.arguments).map(argumentWord);
  return ['ortho', tool.name, ...words, ...required, '[options]'].join(' ');
};

/** How an option is written: `-o, --output OUT`. */
export const optionSpelling = (key: string, option: Option<unknown>): string => {
  const flag = spellingOf(key);
  const short = option.short === undefined ? '' : `-${option.short}, `;
  if (option.negation === 'alone') return `--no-${flag.slice(2)}`;
  const value = option.metavar === undefined ? '' : ` ${option.metavar}`;
  const refusal = option.negation === 'beside' ? `, --no-${flag.slice(2)}` : '';
  return `${short}${flag}${value}${refusal}`;
};

/** What help says of an option: the summary, its choices, default, and whether it must or may be repeated. */
export const optionText = (option: Option<unknown>): string => {
  const notes: string[] = [];
  if (option.choices !== undefined) notes.push(option.choices.join(' | '));
  if (option.defaultText !== undefined) notes.push(`default: ${option.defaultText}`);
  if (option.isRequired) notes.push('required');
  if (option.repeats) notes.push('repeatable');
  return notes.length === 0 ? option.summary : `${option.summary} (${notes.join('; ')})`;
};

/** Left column of help at most; longer spellings put their text on the next line. */
const COLUMN = 34;
const WIDTH = 100;

const wrap = (text: string, width: number): string[] => {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
};

const rows = (pairs: readonly (readonly [string, string])[]): string[] => {
  const left = Math.min(COLUMN, Math.max(0, ...pairs.map(([name]) => name.length)));
  return pairs.flatMap(([name, text]) => {
    const [first = '', ...rest] = wrap(text, WIDTH - left - 4);
    const indented = rest.map((line) => `${' '.repeat(left + 4)}${line}`);
    if (name.length <= left) return [`  ${name.padEnd(left)}  ${first}`, ...indented];
    return [`  ${name}`, `${' '.repeat(left + 4)}${first}`, ...indented];
  });
};

const optionRows = (options: Options): string[] =>
  rows(Object.entries(options).map(([key, option]) => [optionSpelling(key, option), optionText(option)]));

/** The help of one tool. */
export const toolHelp = (tool: Tool): string => {
  const lines = [`ortho ${tool.name}: ${tool.summary}`, '', `Usage: ${usageOf(tool)}`, ''];
  if (tool.description !== undefined) lines.push(...wrap(tool.description, WIDTH), '');
  lines.push('Examples:');
  for (const { command, says } of tool.examples) lines.push(`  ${command}`, `      ${says}`);
  const declared = Object.values(tool.arguments);
  if (declared.length > 0) {
    lines.push('', 'Arguments:', ...rows(declared.map((one) => [one.metavar, one.summary])));
  }
  if (Object.keys(tool.options).length > 0) lines.push('', 'Options:', ...optionRows(tool.options));
  lines.push('', 'Common options:', ...optionRows(commonOptions));
  return `${lines.join('\n')}\n`;
};
