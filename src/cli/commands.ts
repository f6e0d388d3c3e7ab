/** What `ortho` does before it knows the tool: help, version, and the nearest name to an unknown one. */
import { EXIT, type ExitCode, OrthoError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { writeStdout } from './stdout.ts';
import type { Tool } from './tool.ts';

/** A tool before it is loaded. */
export interface Command {
  readonly summary: string;
  readonly load: () => Promise<{ readonly tool: Tool }>;
}

export type Commands = Readonly<Record<string, Command>>;

const EXIT_CODES =
  'Exit codes: 0 ok, 1 a check failed, 2 usage, 3 invalid input, 4 unsupported, 5 runtime or output failure, 70 bug, 130 interrupted.';

/** The help of `ortho` itself. */
const mainHelp = (commands: Commands): string => {
  const names = Object.keys(commands);
  const width = Math.max(...names.map((name) => name.length));
  return [
    'ortho: the ONNX toolchain for Node.js',
    '',
    'Usage: ortho COMMAND [options]',
    '',
    'Commands:',
    ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'ortho COMMAND --help shows the options of a command, ortho --version the version.',
    EXIT_CODES,
    '',
  ].join('\n');
};

const unknownCommand = async (commands: Commands, name: string): Promise<OrthoError> => {
  const { nearestNames } = await import('../core/nearest.ts');
  const isOption = name.startsWith('-');
  const [near] = nearestNames(name, isOption ? ['--help', '--version'] : Object.keys(commands));
  const hint = near === undefined ? 'ortho --help lists the commands' : `did you mean ortho ${near}?`;
  const message = isOption
    ? `${name} before a command: options go after it`
    : `there is no command "${name}"`;
  return new OrthoError(isOption ? 'usage/option' : 'usage/unknown-name', message, { hint });
};

/** What needs no tool: help and version. Undefined when a tool is asked for. */
const answer = (commands: Commands, [first, ...rest]: readonly string[]): string | undefined => {
  if (rest.length > 0) return undefined;
  if (first === '--version' || first === '-V') return `${VERSION}\n`;
  return first === '--help' || first === '-h' || first === 'help' ? mainHelp(commands) : undefined;
};

/** Runs `ortho WORDS`; gives the exit code. Only the tool that was asked for is loaded. */
export const runCommandLine = async (commands: Commands, words: readonly string[]): Promise<ExitCode> => {
  if (words.length === 0) {
    process.stderr.write(mainHelp(commands));
    return EXIT.usage;
  }
  const [first, ...rest] = words[0] === 'help' && words[1] !== undefined ? [words[1], '--help'] : words;
  try {
    const text = answer(commands, words);
    if (text !== undefined) {
      await writeStdout(text);
      return EXIT.ok;
    }
    const command = Object.hasOwn(commands, first!) ? commands[first!] : undefined;
    if (command === undefined) throw await unknownCommand(commands, first!);
    const { tool } = await command.load();
    const { execute } = await import('./execute.ts');
    return await execute(tool, rest);
  } catch (error) {
    const { fail } = await import('./execute.ts');
    return fail(error, rest);
  }
};
