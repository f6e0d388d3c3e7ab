/**
 * What a tool is: a plain object that names its arguments and options and returns a report. Parsing, help, rendering,
 * errors and exit codes are the framework's.
 */
import type { ExitCode } from '../core/errors.ts';
import type { JobIo } from '../core/job-io.ts';
import type { Report } from '../core/report.ts';
import type { commonOptions } from './common-options.ts';
import type { Arguments, Options, ValuesOf } from './options.ts';

/** Text that a tool prints in place of a report (`inspect --text`). */
export interface PlainOutput {
  readonly text: string;
}

export interface Example {
  /** The command as typed. */
  readonly command: string;
  /** What it does. */
  readonly says: string;
}

/** The values a tool's `run` gets: its arguments, its options and the common options. */
export type ToolValues<A extends Arguments, O extends Options> = ValuesOf<A> &
  ValuesOf<O> &
  ValuesOf<typeof commonOptions>;

interface ToolText {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly examples: readonly Example[];
}

export interface ToolDefinition<A extends Arguments, O extends Options, R extends Report | PlainOutput>
  extends ToolText {
  readonly arguments: A;
  readonly options: O;
  /** An interrupted run still returns, soon, a report of what it has. */
  readonly keepsPartial?: true;
  run(values: ToolValues<A, O>, io: JobIo): Promise<R>;
  /** The exit code of a finished run; by default 0 when the report is ok and 1 when not. */
  exitCode?(result: R, values: ToolValues<A, O>): ExitCode;
}

/** A tool as the framework sees it. */
export interface Tool extends ToolText {
  readonly arguments: Arguments;
  readonly options: Options;
  readonly keepsPartial?: true;
  run(values: Readonly<Record<string, unknown>>, io: JobIo): Promise<Report | PlainOutput>;
  exitCode?(result: Report | PlainOutput, values: Readonly<Record<string, unknown>>): ExitCode;
}

/** Types a tool: `run` receives exactly what the descriptors promise. */
export const defineTool = <
  const A extends Arguments,
  const O extends Options,
  R extends Report | PlainOutput,
>(
  definition: ToolDefinition<A, O, R>,
): Tool => {
  // The framework reads the values through these same descriptors, so the record has the promised type.
  const { run, exitCode, ...rest } = definition;
  const tool: Tool = { ...rest, run: (values, io) => run(values as ToolValues<A, O>, io) };
  if (exitCode === undefined) return tool;
  return { ...tool, exitCode: (result, values) => exitCode(result as R, values as ToolValues<A, O>) };
};
