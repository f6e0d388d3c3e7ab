/**
 * Sessions with the options that `ortho tune` found.
 *
 * Options are only right for the model and the machine they were found with. Another model may be wrong with them, not
 * just slow: what differs is a finding of the session, and with `strict` an error.
 */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readEnvironment } from '../bench/environment.ts';
import { fingerprintOf, machineDifferences } from '../bench/fingerprint.ts';
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Finding } from '../core/report.ts';
import { SessionHost } from '../runtime/isolated.ts';
import { loadOnnxRuntime, openInProcess } from '../runtime/onnxruntime.ts';
import type { ProcessLimits, Session, SessionOptions } from '../runtime/session.ts';
import { HASH_LIMIT, subjectOf } from './subject.ts';
import { checkTunedOptions, readTunedOptions, type TunedModel, type TunedOptions } from './tuned-options.ts';

export interface TunedSessionOptions extends ProcessLimits {
  /** Which model of the file, by name; needed where there are several. */
  readonly name?: string;
  /** The model file. Default: the one that the options name, relative to their own folder (of an object: to the cwd). */
  readonly model?: string;
  /** Throw when model or machine are not those of the options. */
  readonly strict?: boolean;
  /**
   * A process of its own, which a crash or a hang of the model cannot leave; feeds and outputs are copied. Default: this
   * process, where a run blocks the event loop and nothing is copied: for models that are trusted.
   */
  readonly isolated?: boolean;
}

export interface TunedSession extends Session {
  /** `tuned-for-another-model`, `tuned-on-another-machine`; empty when all is as it was. */
  readonly findings: readonly Finding[];
}

const chooseModel = ({ models }: TunedOptions, name: string | undefined, where: string): TunedModel => {
  const names = models.map((model) => model.name);
  const found =
    name === undefined && models.length === 1 ? models[0] : models.find((one) => one.name === name);
  if (found !== undefined) return found;
  const near = name === undefined ? undefined : nearestNames(name, names, 1)[0];
  throw new OrthoError(
    'usage/unknown-name',
    name === undefined ? `${where} has options of several models` : `${where} has no options of "${name}"`,
    { hint: near === undefined ? `its models are ${names.join(', ')}` : `did you mean "${near}"?` },
  );
};

/** Models above 64 MB are told by their size unless `strict`: hashing them takes longer than loading. */
const modelFinding = ({ name, sha256, bytes }: TunedModel, path: string, strict: boolean): Finding[] => {
  const isLarge = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > HASH_LIMIT;
  const found = subjectOf(path, { hash: strict || !isLarge });
  const isSame = found.bytes === bytes && (found.sha256 === null || found.sha256 === sha256);
  if (isSame) return [];
  return [
    {
      level: 'warning',
      rule: 'tuned-for-another-model',
      message: `${path} is not the file that the options of "${name}" were found with`,
      hint: 'run ortho tune again',
      at: { file: path },
    },
  ];
};

const machineFinding = ({ machine }: TunedOptions, onnxruntime: string): Finding[] => {
  const differences = machineDifferences(machine, fingerprintOf(readEnvironment(onnxruntime)));
  if (differences.length === 0) return [];
  return [
    {
      level: 'warning',
      rule: 'tuned-on-another-machine',
      message: `the options were found on another machine: ${differences.join('; ')}`,
      hint: 'run ortho tune here',
    },
  ];
};

/** @throws tune/mismatch for the first of them */
const refuse = ([first]: readonly Finding[]): void => {
  if (first === undefined) return;
  const { message, hint, at } = first;
  throw new OrthoError('tune/mismatch', message, {
    ...(hint === undefined ? {} : { hint }),
    ...(at === undefined ? {} : { at }),
  });
};

/** Without members that are undefined, which options of an object may have. */
const given = ({ session }: TunedModel): SessionOptions =>
  Object.fromEntries(Object.entries(session).filter(([, value]) => value !== undefined));

interface Opener {
  version(): Promise<string>;
  open(path: string, options: SessionOptions): Promise<Session>;
  /** Called when opening fails. */
  abandon(): Promise<void>;
}

const inThisProcess: Opener = {
  version: async () => (await loadOnnxRuntime()).env.versions.node ?? 'unknown',
  open: openInProcess,
  abandon: async () => {},
};

const inOwnProcess = (limits: ProcessLimits): Opener => {
  const host = new SessionHost(limits);
  return {
    version: () => host.version(),
    open: async (path, options) => {
      const { inputs, outputs, run } = await host.open(path, options);
      return { inputs, outputs, run, close: () => host.close() };
    },
    abandon: () => host.close(),
  };
};

/**
 * Loads a model with its tuned options.
 * @param file the file that `ortho tune` wrote, or its content.
 * @throws OrthoError file/*, config/invalid, usage/unknown-name for a name that the file does not have, tune/mismatch with
 *   `strict`, runtime/* as loading a model does.
 */
export const createTunedSession = async (
  file: string | TunedOptions,
  { name, model, strict = false, isolated = false, ...limits }: TunedSessionOptions = {},
): Promise<TunedSession> => {
  const where = typeof file === 'string' ? file : 'the options';
  const tuned = typeof file === 'string' ? readTunedOptions(file) : checkTunedOptions(where, file);
  const entry = chooseModel(tuned, name, where);
  const path = model ?? resolve(typeof file === 'string' ? dirname(file) : '.', entry.file);
  const findings = modelFinding(entry, path, strict);
  const opener = isolated ? inOwnProcess(limits) : inThisProcess;
  try {
    findings.push(...machineFinding(tuned, await opener.version()));
    if (strict) refuse(findings);
    const session = await opener.open(path, given(entry));
    return {
      inputs: session.inputs,
      outputs: session.outputs,
      run: (feeds, wanted) => session.run(feeds, wanted),
      close: () => session.close(),
      findings,
    };
  } catch (error) {
    await opener.abandon();
    throw error;
  }
};
