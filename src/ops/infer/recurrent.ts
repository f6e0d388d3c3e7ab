/**
 * RNN, GRU, LSTM. With layout 0: X [steps, batch, input], Y [steps, directions, batch, hidden],
 * states [directions, batch, hidden]; with layout 1 the batch comes first everywhere.
 * W is [directions, gates · hidden, input], R [directions, gates · hidden, hidden].
 */
import { type Dim, tensorType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** The state size: the attribute, which must agree with R. */
const hiddenSize = (call: Call, gates: number, w: number, r: number): Dim => {
  const attribute = call.int('hidden_size');
  if (attribute !== undefined && attribute < 1) call.fail('attribute-range', `hidden_size is ${attribute}`);
  const recurrence = call.ranked(r, 3);
  const weight = call.ranked(w, 3);
  const last = recurrence?.[2];
  if (attribute !== undefined) {
    if (isKnown(last) && last !== attribute) {
      call.fail(
        'shape-mismatch',
        `hidden_size ${attribute} does not match R, whose last dimension is ${last}`,
      );
    }
    const rows = recurrence?.[1] ?? weight?.[1];
    if (isKnown(rows) && rows !== gates * attribute) {
      call.fail('shape-mismatch', `hidden_size ${attribute} does not match R and W with ${rows} rows`);
    }
  }
  const rows = weight?.[1];
  return attribute ?? last ?? (isKnown(rows) ? Math.floor(rows / gates) : null);
};

const directionsOf = (call: Call): number => {
  const direction = call.string('direction') ?? 'forward';
  if (!['forward', 'reverse', 'bidirectional'].includes(direction)) {
    call.fail('attribute-range', `unknown direction "${direction}"`);
  }
  return direction === 'bidirectional' ? 2 : 1;
};

const recurrent =
  (gates: number, states: number): Rule =>
  (call) => {
    const x = call.ranked(0, 3);
    const hidden = hiddenSize(call, gates, 1, 2);
    const directions = directionsOf(call);
    const layout = call.int('layout', 0);
    const [steps = null, batch = null] = layout === 0 ? (x ?? []) : [x?.[1], x?.[0]];
    call.same(x?.[2], call.shape(1)?.[2], 'input sizes of X and W');
    for (const index of [1, 2]) {
      call.same(call.shape(index)?.[0], directions, `input ${index}: its first dimension and the directions`);
    }
    const dtype = call.dtype(0);
    const y = layout === 0 ? [steps, directions, batch, hidden] : [batch, steps, directions, hidden];
    const state = layout === 0 ? [directions, batch, hidden] : [batch, directions, hidden];
    return [tensorType(dtype, y), ...Array.from({ length: states }, () => tensorType(dtype, state))];
  };

export const recurrentRules: RuleTable = {
  RNN: recurrent(1, 1),
  GRU: recurrent(3, 1),
  LSTM: recurrent(4, 2),
};
