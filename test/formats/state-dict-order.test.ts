import { expect, it } from 'vitest';
import { stateDictRank, whyFirst } from '../../src/formats/state-dict-order.ts';

it.each([
  [['state_dict'], 'the only one'],
  [['state_dict', 'state_dict_ema'], 'ordinary weights come before averaged ones'],
  [['a.model', 'other'], 'the usual name'],
  [['', 'other'], 'the top level'],
  [['generator', 'discriminator'], 'the first in the file'],
  [['ema.model', 'ema.other'], 'the usual name'],
])('%s: %s', (paths, why) => {
  expect(whyFirst(paths)).toBe(why);
  const ranked = paths.toReversed().sort((a, b) => stateDictRank(a) - stateDictRank(b));
  if (why !== 'the first in the file') expect(ranked).toEqual(paths);
});
