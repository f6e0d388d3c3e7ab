/**
 * The process that loads and runs models: started by isolated.ts with its parent's process id as argument, never by hand.
 *
 * It reads requests from its socket with blocking reads (nothing else needs its event loop) and ends when the socket
 * does. A hung native call cannot see that, so a second thread watches the parent and kills this process from inside.
 */
import { readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { type RunOnce, restAfterRun, timeLoop } from './child-timing.ts';
import { loadOnnxRuntime, type OnnxRuntimeSession, openInProcess } from './onnxruntime.ts';
import {
  type Answers,
  CHANNEL_FD,
  encodeFrame,
  packFailure,
  packTensors,
  type Request,
  unpackTensors,
} from './protocol.ts';

/** How often the watching thread looks at its parent, in ms. */
const WATCH_MS = 250;

/** JavaScript of the watching thread: text, so that starting it reads no file. */
const watcher = (parent: number): string =>
  `setInterval(() => { if (process.ppid !== ${parent}) process.kill(process.pid, 'SIGKILL'); }, ${WATCH_MS});`;

interface Fed {
  readonly feeds: ReadonlyMap<string, Tensor>;
  readonly runOnce: RunOnce;
}

interface Loaded {
  readonly path: string;
  readonly session: OnnxRuntimeSession;
  fed: Fed | undefined;
}

interface Reply<Op extends Request['op']> {
  readonly header: Answers[Op];
  readonly buffers: readonly Uint8Array[];
}

const reply = <Op extends Request['op']>(
  header: Answers[Op],
  buffers: readonly Uint8Array[] = [],
): Reply<Op> => ({ header, buffers });

const sessions = new Map<number, Loaded>();
let nextSession = 1;
/** Resident memory before the first model, in MB. */
let baseMb = 0;

const loaded = (id: number): Loaded => {
  const found = sessions.get(id);
  if (found === undefined) throw new OrthoError('internal/bug', `no session ${id} in this process`);
  return found;
};

const open = async (request: Request & { op: 'open' }): Promise<Reply<'open'>> => {
  if (nextSession === 1) baseMb = process.memoryUsage.rss() / 2 ** 20;
  const started = performance.now();
  const session = await openInProcess(request.path, request.options);
  const loadMs = performance.now() - started;
  const id = nextSession++;
  sessions.set(id, { path: request.path, session, fed: undefined });
  return reply<'open'>({ session: id, inputs: session.inputs, outputs: session.outputs, loadMs });
};

const fedSession = (id: number): Loaded & Fed => {
  const entry = loaded(id);
  const { fed } = entry;
  if (fed === undefined) throw new OrthoError('internal/bug', `${entry.path}: timed before it was fed`);
  return { ...entry, ...fed };
};

const time = async (request: Request & { op: 'time' }): Promise<Reply<'time'>> => {
  const runs = request.sessions.map((id) => fedSession(id).runOnce);
  const { facts, samples } = await timeLoop(runs, request);
  return reply<'time'>(
    facts,
    samples.map((values) => new Uint8Array(values.buffer)),
  );
};

const rest = async (request: Request & { op: 'rest' }): Promise<Reply<'rest'>> => {
  const { session, feeds, runOnce } = fedSession(request.session);
  const facts = await restAfterRun(runOnce, () => session.prepare(feeds), request.ms);
  return reply<'rest'>({ ...facts, baseMb });
};

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? -1;

const save = async (request: Request & { op: 'save' }): Promise<Reply<'save'>> => {
  const { input, output, options } = request;
  const existed = sizeOf(output) >= 0;
  const started = performance.now();
  try {
    const session = await openInProcess(input, options, { optimized: output });
    const ms = performance.now() - started;
    await session.close();
    if (sizeOf(output) <= 0) {
      throw new OrthoError('output/unwritable', `${output}: ONNX Runtime wrote nothing`, {
        at: { file: output },
      });
    }
    return reply<'save'>({ ms });
  } catch (error) {
    // The runtime leaves an empty file behind when it fails half-way.
    if (!existed) rmSync(output, { force: true });
    throw error;
  }
};

const PROFILE_NAME = 'profile';

/** Runs a model under the profiler, in a session of its own: a profile begins with its session. */
const profile = async (
  request: Request & { op: 'profile' },
  buffers: readonly Uint8Array[],
): Promise<Reply<'profile'>> => {
  const { path, options, folder, optimized, leastRuns, mostRuns, maxMs } = request;
  const session = await openInProcess(path, options, {
    profilePrefix: join(folder, PROFILE_NAME),
    ...(optimized === undefined ? {} : { optimized }),
  });
  let runs = 0;
  try {
    const runOnce = session.prepare(unpackTensors(request.feeds, buffers));
    const started = performance.now();
    while (runs < mostRuns && (runs < leastRuns || performance.now() - started < maxMs)) {
      await runOnce();
      runs++;
    }
    session.endProfiling();
  } finally {
    await session.close();
  }
  // The runtime adds the time to the name, and says nothing when it cannot write.
  const name = readdirSync(folder).find((one) => one.startsWith(PROFILE_NAME));
  if (name === undefined) {
    throw new OrthoError('output/unwritable', `${folder}: ONNX Runtime wrote no profile`, {
      at: { file: folder },
    });
  }
  return reply<'profile'>({ file: join(folder, name), runs });
};

const answer = async (request: Request, buffers: readonly Uint8Array[]): Promise<Reply<Request['op']>> => {
  switch (request.op) {
    case 'hello':
      return reply<'hello'>({ version: (await loadOnnxRuntime()).env.versions.node ?? 'unknown' });
    case 'open':
      return open(request);
    case 'run': {
      const { session } = loaded(request.session);
      const outputs = packTensors(await session.run(unpackTensors(request.feeds, buffers), request.wanted));
      return reply<'run'>({ outputs: outputs.headers }, outputs.buffers);
    }
    case 'prepare': {
      const entry = loaded(request.session);
      const feeds = unpackTensors(request.feeds, buffers);
      entry.fed = { feeds, runOnce: entry.session.prepare(feeds) };
      return reply<'prepare'>({});
    }
    case 'time':
      return time(request);
    case 'rest':
      return rest(request);
    case 'close': {
      const entry = loaded(request.session);
      sessions.delete(request.session);
      await entry.session.close();
      return reply<'close'>({});
    }
    case 'save':
      return save(request);
    case 'profile':
      return profile(request, buffers);
  }
};

/** Exactly `length` bytes, or undefined at the end of the socket. */
const readExactly = (length: number): Buffer | undefined => {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length; ) {
    const got = readSync(CHANNEL_FD, bytes, done, length - done, null);
    if (got === 0) return undefined;
    done += got;
  }
  return bytes;
};

const writeAll = (bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length; ) done += writeSync(CHANNEL_FD, bytes, done);
};

const readRequest = (): { request: Request; buffers: Uint8Array[] } | undefined => {
  const prefix = readExactly(4);
  const header = prefix === undefined ? undefined : readExactly(prefix.readUInt32LE());
  if (header === undefined) return undefined;
  const { sizes, ...request } = JSON.parse(header.toString()) as Request & { sizes: number[] };
  const buffers: Uint8Array[] = [];
  for (const size of sizes) {
    const bytes = readExactly(size);
    if (bytes === undefined) return undefined;
    buffers.push(bytes);
  }
  return { request, buffers };
};

const serve = async (parent: number): Promise<void> => {
  new Worker(watcher(parent), { eval: true }).unref();
  // Ctrl-C reaches the whole process group: the parent decides what becomes of this process.
  process.on('SIGINT', () => {});
  // Loaded while the parent is still busy; where that fails, the first request says why.
  await loadOnnxRuntime().catch(() => {});
  for (let asked = readRequest(); asked !== undefined; asked = readRequest()) {
    let frame: Uint8Array[];
    try {
      const { header, buffers } = await answer(asked.request, asked.buffers);
      frame = encodeFrame(header, buffers);
    } catch (error) {
      frame = encodeFrame({ error: packFailure(error) }, []);
    }
    for (const part of frame) writeAll(part);
  }
  process.exit(0);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(Number(process.argv[2]));
