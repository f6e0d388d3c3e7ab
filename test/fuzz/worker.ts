/**
 * Runs fuzz cases in a process of its own: `worker.js SEED FIRST FOLDER FIXTURES`. Before each case it tells its
 * parent the number, so that the parent knows which one hung or killed it.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRng, type Rng } from '../../src/core/rng.ts';
import { corpus, type Seed } from './corpus.ts';
import { mutate } from './mutations.ts';
import { mutateInside } from './repack.ts';
import { exercise } from './target.ts';

/** What a worker tells its parent. */
export type Message =
  | { readonly kind: 'case'; readonly index: number; readonly seed: string }
  | { readonly kind: 'ended'; readonly ms: number; readonly megabytes: number; readonly opened: boolean }
  | { readonly kind: 'broken'; readonly index: number; readonly error: string };

const send = (message: Message): void => {
  process.send?.(message);
};

/** A damaged copy of one seed as a file or folder; one file of a folder is damaged. */
const plant = (folder: string, { name, files }: Seed, rng: Rng, other: Uint8Array): string => {
  const target = [...files.keys()][rng.integer(files.size)];
  for (const [path, bytes] of files) {
    const isTarget = path === target;
    const content = isTarget ? (rng.next() < 0.6 ? mutateInside : mutate)(bytes, rng, other) : bytes;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return join(folder, name);
};

const pickBytes = (seeds: readonly Seed[], rng: Rng): Uint8Array => {
  const files = [...seeds[rng.integer(seeds.length)]!.files.values()];
  return files[rng.integer(files.length)]!;
};

/** Runs cases from `first` on, until the parent ends the process. */
const work = (seed: number, first: number, folder: string, seeds: readonly Seed[]): void => {
  let index = first;
  const step = async (): Promise<void> => {
    const rng = createRng(Math.imul(seed, 0x9e3779b1) ^ index);
    const chosen = seeds[rng.integer(seeds.length)]!;
    const place = join(folder, String(index));
    const path = plant(place, chosen, rng, pickBytes(seeds, rng));
    send({ kind: 'case', index, seed: chosen.name });
    const start = performance.now();
    let opened = false;
    try {
      opened = (await exercise(path)) === undefined;
      rmSync(place, { recursive: true });
    } catch (error) {
      // The file stays where it is, for whoever looks into it.
      send({
        kind: 'broken',
        index,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
    const megabytes = process.memoryUsage.rss() / 1048576;
    send({ kind: 'ended', ms: performance.now() - start, megabytes, opened });
    index++;
    setImmediate(() => void step());
  };
  void step();
};

const [seed = '1', first = '0', folder = '', fixtures = ''] = process.argv.slice(2);
work(Number(seed), Number(first), folder, corpus(fixtures));
