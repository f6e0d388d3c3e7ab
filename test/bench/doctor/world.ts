/**
 * A machine for the doctor whose clock is arithmetic: what a run takes follows from the model's file and the options, so
 * that a cause can be planted and nothing else is there.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Diagnosis, diagnose } from '../../../src/bench/doctor/diagnose.ts';
import type { Patient } from '../../../src/bench/doctor/experiment.ts';
import { holdsFloat16 } from '../../../src/bench/doctor/float32-copy.ts';
import type { DoctorHost } from '../../../src/bench/doctor/lab.ts';
import type { Machine, ProcessCounters } from '../../../src/bench/doctor/machine.ts';
import { OrthoError } from '../../../src/core/errors.ts';
import { countFloats } from '../../../src/core/float-census.ts';
import { type JobIo, silentIo } from '../../../src/core/job-io.ts';
import { createRng } from '../../../src/core/rng.ts';
import { float32Tensor, type Tensor } from '../../../src/core/tensor.ts';
import { loadModel } from '../../../src/ir/load.ts';
import type { Model } from '../../../src/ir/model.ts';
import { modelToProto } from '../../../src/ir/to-proto.ts';
import { writeModel } from '../../../src/jobs/model-file.ts';
import { encodeModel } from '../../../src/proto/encode.ts';
import type { HostedSession, TimedLoop } from '../../../src/runtime/isolated.ts';
import type { SessionOptions } from '../../../src/runtime/session.ts';

/** How many times slower each thing makes a run. */
const COST = {
  subnormals: 12,
  float16: 1.4,
  oversubscribed: 1.8,
  spinning: 2.4,
  quantizedUnfused: 2.6,
  lowLevel: 1.5,
  parallel: 2,
  noArena: 1.3,
  noPrepacking: 1.6,
  batchNorm: 1.3,
} as const;

export interface WorldOptions {
  /** ms of a run with nothing wrong. */
  readonly base?: number;
  readonly noise?: number;
  readonly cores?: number;
  /** Processors allowed; periods are 100 ms. */
  readonly quota?: number;
  /** Subnormal numbers that arise in each run, whatever the weights. */
  readonly subnormalActivations?: boolean;
  /** Whether nothing can be seen of what the nodes compute. */
  readonly isBlind?: boolean;
  /** Processors that others take. */
  readonly others?: number;
  /** Every so many bursts read pages from a disk, and take twice the time. */
  readonly faultEvery?: number;
  /** Growth of the time of everything, per second. */
  readonly drift?: number;
  readonly firstRunMs?: number;
  /** What a size that was not seen before costs, times. */
  readonly newShape?: number;
}

const PERIOD = 100;

const folder = mkdtempSync(join(tmpdir(), 'ortho-doctor-'));
let files = 0;

export const fileOf = (model: Model): string => {
  const path = join(folder, `model-${files++}.onnx`);
  const parts = encodeModel(modelToProto(model)).map((part) =>
    part instanceof Uint8Array ? part : part.read(0, part.size),
  );
  writeFileSync(path, Buffer.concat(parts));
  return path;
};

export const folderOfWorld = folder;

interface Traits {
  readonly subnormals: boolean;
  readonly float16: boolean;
  readonly quantized: boolean;
  readonly batchNorm: boolean;
}

const traitsOf = (path: string): Traits => {
  const model = loadModel(path);
  const { nodes, initializers } = model.graph;
  return {
    subnormals: initializers.some(
      ({ constant }) => constant?.dtype === 'float32' && countFloats('float32', constant.data).subnormals > 0,
    ),
    float16: holdsFloat16(model),
    quantized: nodes.some((node) => node.is('DequantizeLinear')),
    batchNorm: nodes.some((node) => node.is('BatchNormalization')),
  };
};

interface Process {
  readonly sessions: {
    path: string;
    options: SessionOptions;
    runs: number;
    shapes: Set<string>;
    isNew: boolean;
  }[];
  cpuMs: number;
  faults: number;
  bursts: number;
}

export class World {
  now = 0;
  kernels = 0;
  throttledPeriods = 0;
  spentInPeriod = 0;
  period = 0;
  own = 0;
  readonly processes: Process[] = [];
  readonly options: WorldOptions;
  readonly #rng = createRng(11);
  readonly #traits = new Map<string, Traits>();

  constructor(options: WorldOptions = {}) {
    this.options = options;
  }

  get machine(): Machine {
    const { quota, cores = 2, others = 0 } = this.options;
    return {
      processors: 2,
      cores,
      quota:
        quota === undefined
          ? null
          : {
              cpus: quota,
              periodMs: PERIOD,
              counts: () => ({
                periods: Math.floor(this.now / PERIOD),
                throttledPeriods: this.throttledPeriods,
                throttledMs: 0,
              }),
            },
      now: () => this.now,
      pause: async (ms) => {
        this.#pass(ms, 0);
      },
      kernelMs: () => {
        this.own += 1;
        return this.#slowed(1) * (1 + 0.01 * this.#rng.normal());
      },
      busyMs: () => this.own + this.processes.reduce((sum, { cpuMs }) => sum + cpuMs, 0) + others * this.now,
      ownMs: () => this.own,
      process: (pid): ProcessCounters => {
        const { cpuMs, faults } = this.processes[pid]!;
        return {
          cpuMs,
          waitMs: others > 0 ? cpuMs * others : 0,
          majorFaults: faults,
          swappedMb: faults > 0 ? 12 : 0,
        };
      },
      frequencyMhz: () => undefined,
    };
  }

  #slowed(ms: number): number {
    return ms * (1 + (this.options.drift ?? 0) * (this.now / 1000));
  }

  /** Lets time pass in which `cpus` processors work; a quota stops them for the rest of a period. */
  #pass(ms: number, cpus: number): void {
    const { quota = Number.POSITIVE_INFINITY } = this.options;
    let left = ms;
    while (left > 0) {
      const period = Math.floor(this.now / PERIOD);
      if (period !== this.period) {
        this.period = period;
        this.spentInPeriod = 0;
      }
      const end = (period + 1) * PERIOD - this.now;
      const affordable = cpus === 0 ? left : Math.max(0, (quota * PERIOD - this.spentInPeriod) / cpus);
      const step = Math.min(left, end, affordable);
      this.now += step;
      this.spentInPeriod += step * cpus;
      left -= step;
      if (left > 0 && step < end && step === affordable) {
        this.throttledPeriods++;
        this.now = (period + 1) * PERIOD;
      }
    }
  }

  #traitsOf(path: string): Traits {
    const known = this.#traits.get(path) ?? traitsOf(path);
    this.#traits.set(path, known);
    return known;
  }

  #runMs(process: Process, index: number): number {
    const session = process.sessions[index]!;
    const {
      level = 'all',
      threads,
      spinning = 'default',
      parallel,
      arena,
      prepacking,
      extra,
    } = session.options;
    const traits = this.#traitsOf(session.path);
    const { base = 5, cores = 2, noise = 0.01, firstRunMs, newShape = 1 } = this.options;
    const isFlushing = extra?.['session.set_denormal_as_zero'] === '1';
    const isLow = level === 'disabled' || level === 'basic';
    let ms = base;
    if ((traits.subnormals || this.options.subnormalActivations === true) && !isFlushing)
      ms *= COST.subnormals;
    if (traits.float16) ms *= COST.float16;
    if (traits.quantized && isLow) ms *= COST.quantizedUnfused;
    else if (level === 'disabled') ms *= COST.lowLevel;
    if (traits.batchNorm && level === 'disabled') ms *= COST.batchNorm;
    if ((threads ?? 2) > cores) ms *= COST.oversubscribed;
    if (process.sessions.length > 1 && spinning === 'default') ms *= COST.spinning;
    if (parallel === true) ms *= COST.parallel;
    if (arena === false) ms *= COST.noArena;
    if (prepacking === false) ms *= COST.noPrepacking;
    if (session.isNew) ms *= newShape;
    if (session.runs++ === 0) ms = firstRunMs ?? ms;
    session.isNew = false;
    return this.#slowed(ms) * (1 + noise * this.#rng.normal());
  }

  readonly start = (): DoctorHost => {
    const process: Process = { sessions: [], cpuMs: 0, faults: 0, bursts: 0 };
    const pid = this.processes.push(process) - 1;
    const indices = new Map<HostedSession, number>();
    const { faultEvery, isBlind = false, subnormalActivations = false } = this.options;
    return {
      pid,
      open: async (path, options) => {
        this.now += 20;
        const session: HostedSession = {
          path,
          inputs: [],
          outputs: [],
          loadMs: 20,
          run: async () => {
            if (isBlind) throw new OrthoError('runtime/memory', 'out of memory');
            return new Map([['y', float32Tensor([1], [subnormalActivations ? 1e-40 : 1])]]);
          },
          prepare: async (feeds) => {
            const entry = process.sessions[indices.get(session)!]!;
            const key = [...feeds.values()].map(({ dims }) => dims.join('x')).join();
            entry.isNew = !entry.shapes.has(key);
            entry.shapes.add(key);
          },
          close: async () => {},
        };
        indices.set(
          session,
          process.sessions.push({ path, options, runs: 0, shapes: new Set(), isNew: false }) - 1,
        );
        return session;
      },
      time: async (sessions: readonly HostedSession[], loop: TimedLoop) => {
        const began = this.now;
        const isFaulting = faultEvery !== undefined && ++process.bursts % faultEvery === 0;
        if (isFaulting) process.faults += 3;
        const series = sessions.map((): number[] => []);
        for (let round = 0; round < loop.mostRounds; round++) {
          if (round >= loop.leastRounds && this.now - began >= loop.maxMs) break;
          sessions.forEach((session, i) => {
            const index = indices.get(session)!;
            const ms = this.#runMs(process, index) * (isFaulting ? 2 : 1);
            const threads = Math.min(process.sessions[index]!.options.threads ?? 2, 2);
            const before = this.now;
            this.#pass(ms, threads);
            process.cpuMs += ms * threads;
            series[i]!.push(this.now - before);
          });
        }
        return series.map((values) => Float64Array.from(values));
      },
      close: async () => {},
    };
  };

  /** Examines models in this world. */
  diagnose(patients: readonly Patient[], io: JobIo = silentIo(), budgetMs = 20_000): Promise<Diagnosis> {
    return diagnose({
      patients,
      start: this.start,
      machine: this.machine,
      budgetMs,
      io,
      save: async (model) => {
        const path = join(folder, `copy-${files++}.onnx`);
        await writeModel(path, model);
        return path;
      },
    });
  }
}

export const patientOf = (
  model: Model,
  options: SessionOptions = {},
  rest: Partial<Patient> = {},
): Patient => {
  const path = fileOf(model);
  const feeds = new Map<string, Tensor>([['x', float32Tensor([1, 4], [1, 2, 3, 4])]]);
  return { name: 'm', file: path, path, feeds, options, ...rest };
};
