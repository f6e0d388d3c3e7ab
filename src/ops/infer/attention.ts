/**
 * Attention. Q, K, V are [batch, heads, sequence, size], or packed [batch, sequence, heads · size] with the head counts
 * as attributes. Past keys and values come first: total = past + new.
 */
import { type Dim, type Shape, tensorType, type ValueType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { addDims, isKnown, mulDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** packed / heads; fails when it does not divide. */
const headSize = (call: Call, packed: Dim | undefined, heads: number): Dim => {
  if (!isKnown(packed)) return null;
  if (packed % heads !== 0) call.fail('shape-mismatch', `size ${packed} does not divide into ${heads} heads`);
  return packed / heads;
};

/** [batch, heads, sequence, size] of an operand in either form. */
const unpacked = (call: Call, shape: Shape | undefined, heads: number | undefined): Shape | undefined => {
  if (shape === undefined || shape.length === 4) return shape;
  if (heads === undefined || heads < 1) {
    return call.fail('missing-attribute', 'packed inputs need q_num_heads and kv_num_heads');
  }
  const [batch = null, sequence = null, packed] = shape;
  return [batch, heads, sequence, headSize(call, packed, heads)];
};

const attention: Rule = (call) => {
  const packedQ = call.ranked(0, 3, 4);
  const qHeads = call.int('q_num_heads');
  const kvHeads = call.int('kv_num_heads');
  const q = unpacked(call, packedQ, qHeads);
  const k = unpacked(call, call.ranked(1, 3, 4), kvHeads);
  const v = unpacked(call, call.ranked(2, 3, 4), kvHeads);
  call.same(q?.[0], k?.[0], 'batch sizes of Q and K');
  call.same(q?.[3], k?.[3], 'head sizes of Q and K');
  call.same(k?.[2], v?.[2], 'sequence lengths of K and V');
  const past = call.has(4) ? call.ranked(4, 4) : undefined;
  const length = k?.[2] ?? null;
  const total = call.has(4) ? (past ? addDims(past[2] as Dim, length) : null) : length;
  const dtype = call.dtype(0);
  const y = q && [q[0] as Dim, q[1] as Dim, q[2] as Dim, v?.[3] ?? null];
  const packed = y && [y[0] as Dim, y[2] as Dim, mulDims(y[1] as Dim, y[3] as Dim)];
  const present = (operand: Shape | undefined, index: number): ValueType =>
    tensorType(
      call.dtype(index),
      operand && [operand[0] as Dim, operand[1] as Dim, total, operand[3] as Dim],
    );
  return [
    tensorType(dtype, packedQ?.length === 3 ? packed : y),
    present(k, 1),
    present(v, 2),
    tensorType(dtype, q && [q[0] as Dim, q[1] as Dim, q[2] as Dim, total]),
  ];
};

/** Output [batch, sequence, q_heads · d_v]; state [batch, kv_heads, d_k, d_v]. */
const linearAttention: Rule = (call) => {
  const [query, key, value] = [call.ranked(0, 3), call.ranked(1, 3), call.ranked(2, 3)];
  const [qHeads, kvHeads] = [call.int('q_num_heads'), call.int('kv_num_heads')];
  if (qHeads === undefined || kvHeads === undefined || qHeads < 1 || kvHeads < 1) {
    return call.fail('missing-attribute', 'q_num_heads and kv_num_heads are needed');
  }
  const [dk, dv] = [headSize(call, key?.[2], kvHeads), headSize(call, value?.[2], kvHeads)];
  const batch = query?.[0] ?? null;
  const state = call.has(3) ? call.dtype(3) : call.dtype(0);
  return [
    tensorType(call.dtype(0), [batch, query?.[1] ?? null, mulDims(qHeads, dv)]),
    tensorType(state, [batch, kvHeads, dk, dv]),
  ];
};

/** input [batch, channels, length], weight [channels, 1, k]; the state keeps the last k − 1 positions. */
const causalConvWithState: Rule = (call) => {
  const input = call.ranked(0, 3);
  const kernel = call.ranked(1, 3)?.[2];
  const state = isKnown(kernel) ? kernel - 1 : null;
  return [call.type(0), tensorType(call.dtype(0), [input?.[0] ?? null, input?.[1] ?? null, state])];
};

const rotaryEmbedding: Rule = (call) => {
  call.ranked(0, 3, 4);
  return call.like(0);
};

export const attentionRules: RuleTable = {
  Attention: attention,
  LinearAttention: linearAttention,
  CausalConvWithState: causalConvWithState,
  RotaryEmbedding: rotaryEmbedding,
};

/** Q [b, q_heads, q, size], V [b, kv_heads, k, v_size]: [b, q_heads, q, v_size]. */
export const flexAttention: Rule = (call) => {
  const q = call.ranked(0, 4);
  const v = call.ranked(2, 4);
  return call.out(call.dtype(0), q && [...q.slice(0, 3), v?.[3] ?? null]);
};
