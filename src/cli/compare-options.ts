/** Options of `bench` for a comparison: with what, when it counts, and what becomes of the answer. */
import { choice, flag, path, percent, text } from './options.ts';

export const compareOptions = {
  baseline: path('MODEL', 'compare every model with this one, or with a stored baseline (.json)'),
  remeasure: flag('measure the model of a stored baseline again, here and now'),
  saveBaseline: text('FILE', 'store what is measured, with the machine it holds for'),
  margin: percent('P', 'differences within this share count as none', { default: 0.03 }),
  maxRegression: percent('P', 'exit 1 when a model is proven to be slower than the baseline by more'),
  onInconclusive: choice(
    ['pass', 'fail'],
    'WHAT',
    'what becomes of a regression that is neither proven nor excluded (default: pass)',
  ),
  tolerance: text('[OUT=]atol:1e-4,rtol:1e-3', 'how far outputs of compared models may be off', {
    repeat: true,
  }),
  ignoreParity: flag('compare models although their outputs differ'),
} as const;
