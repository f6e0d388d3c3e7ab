import { expect, test } from 'vitest';
import { silentIo } from '../../src/core/job-io.ts';
import { BenchBudget } from '../../src/jobs/bench-budget.ts';

const budgetOf = (ms: number, weight: number) => {
  const clock = { now: 1000 };
  const said: string[] = [];
  const shown: [string, number | undefined][] = [];
  const io = {
    ...silentIo(),
    say: (message: string) => said.push(message),
    progress: (step: string, fraction?: number) => shown.push([step, fraction]),
  };
  return { budget: new BenchBudget(ms, weight, io, () => clock.now), clock, said, shown };
};

test('shares are of the time that is left: a late phase shortens those after it', () => {
  const { budget, clock } = budgetOf(10_000, 4);
  expect(budget.take(1)).toBe(2500);
  clock.now += 4000;
  expect(budget.take(1)).toBe(2000);
  clock.now += 2000;
  expect(budget.take(2)).toBe(4000);
  clock.now += 9000;
  expect(budget.take(1)).toBe(0);
});

test('phases that keep to their share end when it was announced', () => {
  const { budget, clock, said } = budgetOf(10_000, 7);
  clock.now += 800;
  budget.announce('measuring', 1500);
  expect(said).toEqual(['measuring: about 9 s']);
  const announced = clock.now + 9200;
  for (const weight of [1, 1, 1, 2, 2]) {
    // Every phase takes a fifth longer than its share.
    clock.now += 1.2 * budget.take(weight);
  }
  expect(clock.now).toBeLessThanOrEqual(announced + 0.2 * 9200);
});

test('what cannot fit is announced: starting processes, slow models', () => {
  const { budget, clock, said } = budgetOf(1000, 1);
  budget.announce('measuring 5 models', 3000);
  expect(said).toEqual(['measuring 5 models: about 4 s']);
  expect(budget.leftMs).toBe(3500);
  clock.now += 500;
  budget.needs(3200, 'net.onnx is slow');
  expect(said.length).toBe(1);
  budget.needs(30_000, 'net.onnx is slow');
  expect(said[1]).toBe('net.onnx is slow: about 30 s from now');
  expect(budget.leftMs).toBe(30_000);
});

test('progress tells how much is done and what is left', () => {
  const { budget, clock, shown } = budgetOf(10_000, 1);
  clock.now += 2500;
  budget.progress('net.onnx alone');
  clock.now += 20_000;
  budget.progress('net.onnx alone');
  expect(shown).toEqual([
    ['net.onnx alone, 8 s left', 0.25],
    ['net.onnx alone, 0.0 s left', 1],
  ]);
});
