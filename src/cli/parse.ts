/** The command line of one tool: commander splits it, the descriptors read it, the messages are ours. */
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { commonOptions } from './common-options.ts';
import { usageOf } from './help.ts';
import { type Arguments, type Given, type Options, spellingOf } from './options.ts';
import type { Tool } from './tool.ts';

export type Values = Readonly<Record<string, unknown>>;

export interface Parsed {
  readonly values: Values;
  /** Every file that the command line names as an input. */
  readonly inputs: readonly string[];
}

/** All options of a tool, its own first. */
const optionsOf = (tool: Tool): Options => ({ ...tool.options, ...commonOptions });

/** Whether errors go to stdout as JSON too; asked before (and even if not) the command line parses. */
export const wantsJson = (argv: readonly string[]): boolean =>
  argv.some(
    (word, at) =>
      word === '--json' || word === '--format=json' || (word === '--format' && argv[at + 1] === 'json'),
  );

/** Whether help was asked for, anywhere before a `--`. */
export const wantsHelp = (argv: readonly string[]): boolean => {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((word) => word === '--help' || word === '-h');
};

const flagsOf = (options: Options): string[] =>
  Object.entries(options).flatMap(([key, { negation }]) => {
    const flag = spellingOf(key);
    const refusal = `--no-${flag.slice(2)}`;
    return negation === 'none' ? [flag] : negation === 'alone' ? [refusal] : [flag, refusal];
  });

/** commander's errors in our words. */
const translate = (tool: Tool, error: { code: string; message: string }): OrthoError => {
  const quoted = /'([^']*)'/s.exec(error.message)?.[1] ?? '';
  if (error.code === 'commander.unknownOption') {
    const [near] = nearestNames(quoted, [...flagsOf(optionsOf(tool)), '--help']);
    return new OrthoError('usage/option', `${tool.name} has no option ${quoted}`, {
      hint: near === undefined ? `ortho ${tool.name} --help lists the options` : `did you mean ${near}?`,
    });
  }
  if (error.code === 'commander.optionMissingArgument') {
    return new OrthoError('usage/option', `${quoted.replace(' <value>', '')} needs a value`, {
      hint: `ortho ${tool.name} --help lists the options`,
    });
  }
  return new OrthoError('usage/option', error.message.replace(/^error: /, ''));
};

interface Split {
  readonly words: readonly string[];
  readonly given: ReadonlyMap<string, readonly Given[]>;
}

const split = async (tool: Tool, argv: readonly string[]): Promise<Split> => {
  const { Command, CommanderError } = await import('commander');
  const command = new Command(tool.name)
    .helpOption(false)
    .allowExcessArguments(true)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} });
  const given = new Map<string, Given[]>();
  for (const [key, option] of Object.entries(optionsOf(tool))) {
    const occurrences: Given[] = [];
    given.set(key, occurrences);
    const name = spellingOf(key).slice(2);
    const short = option.short === undefined ? '' : `-${option.short}, `;
    if (option.negation !== 'alone') {
      command.option(`${short}--${name}${option.metavar === undefined ? '' : ' <value>'}`);
      command.on(`option:${name}`, (value: string | null | undefined) => occurrences.push(value ?? true));
    }
    if (option.negation !== 'none') {
      command.option(`--no-${name}`);
      command.on(`option:no-${name}`, () => occurrences.push(false));
    }
  }
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    throw error instanceof CommanderError ? translate(tool, error) : error;
  }
  return { words: command.args, given };
};

const readArguments = (tool: Tool, declared: Arguments, words: readonly string[]): Map<string, unknown> => {
  const values = new Map<string, unknown>();
  let at = 0;
  for (const [key, argument] of Object.entries(declared)) {
    const own = argument.isVariadic ? words.slice(at) : words.slice(at, at + 1);
    if (own.length === 0 && !argument.isOptional) {
      throw new OrthoError('usage/option', `${argument.metavar} is missing`, { hint: usageOf(tool) });
    }
    if (own.includes('')) throw new OrthoError('usage/option', `${argument.metavar} is an empty path`);
    values.set(key, argument.read(own));
    at += own.length;
  }
  if (at < words.length) {
    throw new OrthoError('usage/option', `unexpected argument "${words[at]}"`, { hint: usageOf(tool) });
  }
  return values;
};

/**
 * The values of a tool's arguments and options.
 * @throws OrthoError usage/option, usage/unknown-name
 */
export const parseCommandLine = async (tool: Tool, argv: readonly string[]): Promise<Parsed> => {
  const { words, given } = await split(tool, argv);
  const values = readArguments(tool, tool.arguments, words);
  const inputs = [...words];
  for (const [key, option] of Object.entries(optionsOf(tool))) {
    const value = option.read(given.get(key) ?? [], spellingOf(key));
    values.set(key, value);
    inputs.push(...option.paths(value));
  }
  return { values: Object.fromEntries(values), inputs };
};
