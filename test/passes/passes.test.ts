/**
 * Every pass on its fixtures: test/passes/<pass>/<name>.txt is a model in ONNX text with its expectations in comments,
 * <name>.golden.txt what the pass makes of it (UPDATE=1 rewrites). Beyond the golden text each fixture proves what
 * every pass promises: it is at its fixed point, the checker finds no fault, and the outputs are the same.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkStructure } from '../../src/ir/check.ts';
import type { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { writeModel } from '../../src/jobs/model-file.ts';
import { passes } from '../../src/passes/index.ts';
import { runPipeline } from '../../src/passes/pipeline.ts';
import { SessionHost } from '../../src/runtime/isolated.ts';
import { requiredInputs } from '../../src/verify/model-inputs.ts';
import { describeFailures, holds, startParity } from '../../src/verify/parity.ts';
import { findFeeds } from '../../src/verify/trial.ts';
import { expectGolden, repository } from '../support/golden.ts';
import { modelFromText, textOfModel } from '../support/model-text.ts';

const folder = 'test/passes';
const names = Object.keys(passes) as (keyof typeof passes)[];

interface Fixture {
  readonly file: string;
  readonly text: string;
  readonly changes: number;
  readonly declined: readonly { readonly reason: string; readonly count: number }[];
  readonly notRun: boolean;
}

const filesOf = (pass: string): string[] => {
  if (!existsSync(`${repository}${folder}/${pass}`))
    throw new Error(`the pass has no fixtures: put models in ONNX text into ${folder}/${pass}/`);
  return readdirSync(`${repository}${folder}/${pass}`);
};

const fixturesOf = (pass: string): Fixture[] =>
  filesOf(pass)
    .filter((file) => file.endsWith('.txt') && !file.endsWith('.golden.txt'))
    .map((file) => {
      const text = readFileSync(`${repository}${folder}/${pass}/${file}`, 'utf8');
      const changes = /^# expect: (\d+) changes?$/m.exec(text)?.[1];
      if (changes === undefined) throw new Error(`${file} does not say what it expects`);
      const declined = [...text.matchAll(/^# declined: (\d+) (.*)$/gm)].map(([, count, reason]) => ({
        reason: reason!,
        count: Number(count),
      }));
      const model = text.replace(/^#.*\n/gm, '');
      return { file, text: model, changes: Number(changes), declined, notRun: /^# not run: /m.test(text) };
    });

const faultsOf = (model: Model): string[] =>
  checkStructure(modelToProto(model))
    .filter(({ level }) => level === 'error')
    .map(({ message }) => message);

const byReason = <T extends { readonly reason: string }>(list: readonly T[]): T[] =>
  list.toSorted((a, b) => a.reason.localeCompare(b.reason));

let host: SessionHost;
let scratch: string;
beforeAll(() => {
  host = new SessionHost();
  scratch = mkdtempSync(join(tmpdir(), 'ortho-passes-'));
});
afterAll(async () => {
  await host.close();
  rmSync(scratch, { recursive: true });
});

/** Runs both models on the same random feeds with the runtime's optimiser off. */
const expectSameOutputs = async (before: Model, after: Model): Promise<void> => {
  const paths = [join(scratch, 'before.onnx'), join(scratch, 'after.onnx')] as const;
  await writeModel(paths[0], before, { force: true });
  await writeModel(paths[1], after, { force: true });
  const reference = await host.open(paths[0], { level: 'disabled' });
  const candidate = await host.open(paths[1], { level: 'disabled' });
  const parity = startParity('before', 'after');
  const { trials, refusal } = await findFeeds(requiredInputs(before), (feeds) => reference.run(feeds), {
    seed: 1,
  });
  expect(trials.length, refusal?.message).toBeGreaterThan(0);
  for (const { name, feeds, expected } of trials) {
    parity.compare('disabled', name, expected, await candidate.run(feeds));
  }
  await reference.close();
  await candidate.close();
  const record = parity.finish();
  expect(holds(record), describeFailures(record)).toBe(true);
};

describe.each(names)('%s', (name) => {
  const pass = passes[name];
  const fixtures = fixturesOf(name);

  test('has a fixture that it changes and one that it leaves alone', () => {
    expect(fixtures.some(({ changes }) => changes > 0)).toBe(true);
    expect(fixtures.some(({ changes, declined }) => changes === 0 || declined.length > 0)).toBe(true);
    expect(pass.name).toBe(name);
  });

  test.each(fixtures)('$file', async ({ file, text, changes, declined, notRun }) => {
    const model = modelFromText(text);
    expect(faultsOf(model)).toEqual([]);
    const once = runPipeline(model, [pass], { maxRounds: 1 });
    expect(once.changes).toBe(changes);
    expect(byReason(once.perPass[0]!.declined)).toEqual(byReason(declined));
    expectGolden(`${folder}/${name}/${file.replace(/\.txt$/, '.golden.txt')}`, textOfModel(model));

    expect(faultsOf(model)).toEqual([]);
    expect(runPipeline(model, [pass]).changes, 'a second run changes nothing').toBe(0);
    const reread = modelFromText(textOfModel(model));
    expect(runPipeline(reread, [pass]).changes, 'nor does one after writing and reading').toBe(0);
    if (!notRun) await expectSameOutputs(modelFromText(text), model);
  });
});
