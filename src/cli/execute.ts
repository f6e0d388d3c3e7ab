/**
 * Runs one tool: parse, work, render, exit code. Only this file decides what goes to which stream and with which code
 * the process ends.
 */
import { extname, resolve } from 'node:path';
import { EXIT, type ExitCode, OrthoError } from '../core/errors.ts';
import type { Report } from '../core/report.ts';
import { VERSION } from '../core/version.ts';
import { checkOutput, writeAtomically } from '../jobs/output.ts';
import type { ReportFormat } from '../report/formats.ts';
import { renderers } from '../report/index.ts';
import type { Renderer } from '../report/renderer.ts';
import type { commonOptions } from './common-options.ts';
import { toolHelp } from './help.ts';
import type { ValuesOf } from './options.ts';
import { type Parsed, parseCommandLine, wantsHelp, wantsJson } from './parse.ts';
import { writeStdout } from './stdout.ts';
import { hasColor, Terminal } from './terminal.ts';
import type { PlainOutput, Tool } from './tool.ts';

type CommonValues = ValuesOf<typeof commonOptions>;

/** Extensions of formats that have no renderer yet. */
const RESERVED_EXTENSIONS = new Map<string, ReportFormat>([
  ['html', 'html'],
  ['xml', 'junit'],
  ['sarif', 'sarif'],
]);

const rendererOf = (format: string): Renderer => {
  const renderer = new Map<string, Renderer>(Object.entries(renderers)).get(format);
  if (renderer !== undefined) return renderer;
  throw new OrthoError('report/unsupported-format', `the report format ${format} is not built yet`, {
    hint: `use ${Object.keys(renderers).join(', ')}`,
  });
};

/** The format that a path's extension names. */
const formatOfPath = (path: string): string | undefined => {
  const extension = extname(path).slice(1).toLowerCase();
  const renderer = Object.values(renderers).find((one) => one.extension === extension);
  return renderer?.name ?? RESERVED_EXTENSIONS.get(extension);
};

interface ReportPlan {
  readonly stdout: Renderer;
  readonly file: { readonly path: string; readonly renderer: Renderer } | undefined;
}

/** Where the report goes and in which form, settled before the work starts. */
const planReport = (
  values: CommonValues & { readonly output?: unknown },
  inputs: readonly string[],
): ReportPlan => {
  if (values.json && values.format !== undefined && values.format !== 'json') {
    throw new OrthoError('usage/conflict', `--json contradicts --format ${values.format}`);
  }
  if (values.quiet && values.verbose) throw new OrthoError('usage/conflict', '-q contradicts -v');
  const format = values.json ? 'json' : (values.format ?? 'text');
  const stdout = rendererOf(format);
  const path = values.report;
  if (path === undefined) return { stdout, file: undefined };
  const renderer = rendererOf(formatOfPath(path) ?? format);
  checkOutput(path, { force: values.force, inputs });
  if (typeof values.output === 'string' && resolve(values.output) === resolve(path)) {
    throw new OrthoError('usage/conflict', `--report and -o both name ${path}`);
  }
  return { stdout, file: { path, renderer } };
};

/** What `--json` prints when there is no report. */
const errorReport = (error: OrthoError): string => {
  const { code, message, hint, at } = error;
  const finding = { level: 'error', rule: code, message, ...(hint === undefined ? {} : { hint }), at };
  const { exitCode } = error;
  return `${JSON.stringify({ schema: 'error@1', tool: 'ortho', version: VERSION, ok: false, exitCode, findings: [finding] }, undefined, 2)}\n`;
};

const asOrthoError = (error: unknown): OrthoError => {
  if (error instanceof OrthoError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new OrthoError('internal/bug', message, { cause: error });
};

/** How long a tool that keeps what it has may take to say it. */
const GRACE_MS = 5000;

/**
 * Rejects when the user or the system asks the process to end; the work is told through the signal. With `keepsPartial`
 * the work gets time to end with what it has: only a second signal, or the end of that time, rejects.
 */
const interruption = (
  controller: AbortController,
  keepsPartial: boolean,
): { readonly promise: Promise<never>; stop(): void } => {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let onSignal = (_signal: NodeJS.Signals): void => {};
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<never>((_, reject) => {
    onSignal = (signal) => {
      const isFirst = !controller.signal.aborted;
      const error = new OrthoError('internal/interrupted', `stopped by ${signal}; no output was left behind`);
      controller.abort(error);
      if (keepsPartial && isFirst) timer = setTimeout(() => reject(error), GRACE_MS);
      else reject(error);
    };
  });
  promise.catch(() => {});
  for (const signal of signals) process.on(signal, onSignal);
  return {
    promise,
    stop: () => {
      clearTimeout(timer);
      for (const signal of signals) process.removeListener(signal, onSignal);
    },
  };
};

const isReport = (result: Report | PlainOutput): result is Report => 'schema' in result;

const finish = async (
  tool: Tool,
  { values }: Parsed,
  plan: ReportPlan,
  result: Report | PlainOutput,
): Promise<ExitCode> => {
  const common = values as CommonValues;
  if (isReport(result)) {
    const { file } = plan;
    if (file !== undefined) {
      const rendered = file.renderer.render(result, { color: false, all: true });
      const bytes = new TextEncoder().encode(rendered);
      await writeAtomically(file.path, (sink) => sink.write(bytes), { force: common.force });
    }
    await writeStdout(
      plan.stdout.render(result, { color: hasColor(process.stdout, common.color), all: common.verbose }),
    );
  } else {
    await writeStdout(result.text);
  }
  const isOk = !isReport(result) || result.ok;
  return tool.exitCode?.(result, values) ?? (isOk ? EXIT.ok : EXIT.checkFailed);
};

const work = async (
  tool: Tool,
  argv: readonly string[],
  show: (terminal: Terminal) => void,
): Promise<ExitCode> => {
  const parsed = await parseCommandLine(tool, argv);
  const common = parsed.values as CommonValues;
  const controller = new AbortController();
  const terminal = new Terminal(common, controller.signal);
  show(terminal);
  const plan = planReport(common, parsed.inputs);
  const interrupted = interruption(controller, tool.keepsPartial === true);
  try {
    const result = await Promise.race([tool.run(parsed.values, terminal), interrupted.promise]);
    terminal.clear();
    return await finish(tool, parsed, plan, result);
  } finally {
    interrupted.stop();
  }
};

/** Reports an error on stderr, and on stdout where JSON was asked for; gives its exit code. */
export const fail = async (
  caught: unknown,
  argv: readonly string[],
  terminal?: Terminal,
): Promise<ExitCode> => {
  const error = asOrthoError(caught);
  const quiet = { quiet: false, verbose: false, color: !argv.includes('--no-color') };
  (terminal ?? new Terminal(quiet, new AbortController().signal)).error(error);
  if (wantsJson(argv)) await writeStdout(errorReport(error)).catch(() => {});
  return error.exitCode;
};

/** Runs a tool with the words after its name; gives the exit code of the process. Never throws. */
export const execute = async (tool: Tool, argv: readonly string[]): Promise<ExitCode> => {
  let terminal: Terminal | undefined;
  try {
    if (wantsHelp(argv)) {
      await writeStdout(toolHelp(tool));
      return EXIT.ok;
    }
    return await work(tool, argv, (one) => {
      terminal = one;
    });
  } catch (error) {
    return fail(error, argv, terminal);
  }
};
