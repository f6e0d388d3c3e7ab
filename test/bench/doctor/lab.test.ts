import { expect, test } from 'vitest';
import { setUpOf } from '../../../src/bench/doctor/experiment.ts';
import { Lab } from '../../../src/bench/doctor/lab.ts';
import { modelFromText } from '../../support/model-text.ts';
import { patientOf, World, type WorldOptions } from './world.ts';

/** Bursts that were begun, and those that count, over one measurement of a healthy model. */
const burstsIn = async (options: WorldOptions): Promise<{ begun: number; counted: number }> => {
  const world = new World(options);
  const lab = new Lab(world.start, world.machine, 1000);
  const patient = patientOf(modelFromText('m (float[1, 4] x) => (float[1, 4] y) { y = Relu(x) }'));
  const [measured] = await lab.measure([setUpOf([patient])]);
  return {
    begun: lab.kernels.length,
    counted: measured!.rounds.reduce((sum, { length }) => sum + length, 0),
  };
};

test('three sessions of four bursts where nothing disturbs them', async () => {
  expect(await burstsIn({})).toEqual({ begun: 12, counted: 12 });
});

test('disturbed bursts are made anew, four times a session at most', async () => {
  expect(await burstsIn({ others: 0.9 })).toEqual({ begun: 24, counted: 12 });
  expect(await burstsIn({ others: 0.3 })).toEqual({ begun: 12, counted: 12 });
});
