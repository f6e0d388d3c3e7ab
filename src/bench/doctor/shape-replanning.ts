/**
 * Does every new shape cost extra? The runtime plans its memory for the shapes it sees; a size that it has not seen is planned
 * anew. Decided by sizes next to the given one: the first run of a size against a later visit to the same size.
 * It is a cause only for programs whose sizes vary, so twice the time is needed for a word.
 */
import type { Tensor } from '../../core/tensor.ts';
import type { HostedSession } from '../../runtime/isolated.ts';
import { type InputSpec, isDynamic, randomFeeds } from '../../verify/inputs.ts';
import { requiredInputs } from '../../verify/model-inputs.ts';
import { estimateOf, intervalOf } from '../sequential.ts';
import { median, type PairedTimes, ratioOfPairs } from '../statistics.ts';
import {
  type DoctorContext,
  type Experiment,
  milliseconds,
  outcomeOf,
  ruledOut,
  undecided,
} from './experiment.ts';
import type { DoctorHost } from './lab.ts';

/** What it must cost to be named. */
const WORTH = 2;
const SESSIONS = 3;
const SIZES = 4;
/** Steps between neighbouring sizes that are tried: networks often need multiples of a power of two. */
const STEPS = [16, 32, 64, 8, 1];

type Feeds = ReadonlyMap<string, Tensor>;

/** Feeds of neighbouring sizes: unknown dimensions grow by multiples of the step, a batch of one by one. */
const neighbour = (specs: readonly InputSpec[], feeds: Feeds, by: number, step: number): Feeds => {
  const shapes = new Map(
    specs.map(({ name, shape }) => {
      const dims = feeds.get(name)!.dims;
      return [
        name,
        dims.map((dim, axis) => (typeof shape?.[axis] === 'number' || dim < step ? dim : dim + by * step)),
      ] as const;
    }),
  );
  return new Map([...randomFeeds(specs, { seed: by, shapes })]);
};

const once = { leastRounds: 1, mostRounds: 1, maxMs: 0, order: 'fixed', seed: 0 } as const;

const visit = async (host: DoctorHost, session: HostedSession, feeds: Feeds): Promise<number> => {
  await session.prepare(feeds);
  return (await host.time([session], once))[0]![0]!;
};

const specsOf = ({ patients: [patient], withModel }: DoctorContext): Promise<InputSpec[]> =>
  withModel(patient!, (model) => (model === undefined ? [] : requiredInputs(model)));

/** One fresh process: every size twice, with all the others in between. */
const session = async (
  { patients: [patient], lab }: DoctorContext,
  sizes: readonly Feeds[],
): Promise<PairedTimes> => {
  const host = lab.start();
  try {
    const opened = await host.open(patient!.path, patient!.options);
    for (let i = 0; i < SIZES; i++) await visit(host, opened, patient!.feeds);
    const candidate: number[] = [];
    const baseline: number[] = [];
    for (const feeds of sizes) candidate.push(await visit(host, opened, feeds));
    for (const feeds of sizes) baseline.push(await visit(host, opened, feeds));
    return { baseline, candidate };
  } finally {
    await host.close();
  }
};

/** Sizes that the model accepts; undefined when it takes none of those that are tried. */
const acceptedSizes = async (
  context: DoctorContext,
  specs: readonly InputSpec[],
): Promise<Feeds[] | undefined> => {
  const {
    patients: [patient],
    lab,
  } = context;
  for (const step of STEPS) {
    const sizes = Array.from({ length: SIZES }, (_, i) => neighbour(specs, patient!.feeds, i + 1, step));
    const isSame = [...sizes[0]!].every(
      ([name, { dims }]) => String(dims) === String(patient!.feeds.get(name)!.dims),
    );
    if (isSame) continue;
    const host = lab.start();
    try {
      const opened = await host.open(patient!.path, patient!.options);
      for (const feeds of sizes) await opened.run(feeds);
      return sizes;
    } catch {
      // Other sizes than the model takes: the next step may fit.
    } finally {
      await host.close();
    }
  }
  return undefined;
};

export const shapeReplanning: Experiment = {
  name: 'shape-replanning',
  summary: 'memory that is planned anew for every new shape',
  scope: 'model',
  applies: async (context) =>
    (await specsOf(context)).some(isDynamic) ? 'routine' : ruledOut('its inputs have fixed shapes'),
  run: async (context) => {
    const sizes = await acceptedSizes(context, await specsOf(context));
    if (sizes === undefined) return undecided('it takes none of the neighbouring sizes that were tried');
    const measured: PairedTimes[] = [];
    for (let i = 0; i < SESSIONS; i++) measured.push(await session(context, sizes));
    const estimate = estimateOf(measured.map((pairs) => Math.log(ratioOfPairs(pairs))));
    const all = (side: keyof PairedTimes): number =>
      median(measured.flatMap((pairs) => Array.from(pairs[side])));
    const contrast = {
      factor: Math.exp(estimate.mean),
      ci95: intervalOf(estimate, 0.95),
      asIsMs: all('candidate'),
      otherMs: all('baseline'),
      sessions: SESSIONS,
      othersShare: 0,
    };
    return outcomeOf(
      contrast,
      {
        about: `the first run of each of ${SIZES} new sizes`,
        without: 'when the size comes again',
        fix: `use few sizes (pad to them) and run each once when the program starts: ${milliseconds(contrast.asIsMs - contrast.otherMs)} a new size`,
        treatments: new Map(),
      },
      WORTH,
    );
  },
};
