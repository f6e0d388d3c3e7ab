/** Control flow: the bodies are inferred with what is known outside, their results joined. */
import type { Graph } from '../../ir/graph.ts';
import { type Dim, type Shape, tensorType, type ValueType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { commonShape, isKnown, unifyDims } from './dims.ts';
import type { Rule, RuleTable, SubgraphResult } from './types.ts';

const describe = (type: ValueType): string => (type.kind === 'tensor' ? (type.dtype ?? 'tensor') : type.kind);

/** What holds of both types; undefined where they are of different kinds. */
export const commonType = (a: ValueType | undefined, b: ValueType | undefined): ValueType | undefined => {
  if (a === undefined || b === undefined || a.kind !== b.kind) return undefined;
  switch (a.kind) {
    case 'tensor':
    case 'sparse-tensor': {
      const other = b as typeof a;
      return {
        kind: a.kind,
        dtype: a.dtype === other.dtype ? a.dtype : undefined,
        shape: commonShape(a.shape, other.shape),
      };
    }
    case 'sequence':
    case 'optional':
      return { kind: a.kind, element: commonType(a.element, (b as typeof a).element) };
    default:
      return a;
  }
};

/** Different kinds, or known element types that differ. */
const conflict = (a: ValueType | undefined, b: ValueType | undefined): boolean => {
  if (a === undefined || b === undefined) return false;
  // A carried optional may start empty and hold a plain value after the first iteration.
  if (a.kind === 'optional' && b.kind !== 'optional') return conflict(a.element, b);
  if (a.kind !== b.kind) return true;
  if (a.kind === 'tensor') {
    const other = (b as typeof a).dtype;
    return a.dtype !== undefined && other !== undefined && a.dtype !== other;
  }
  return a.kind === 'sequence' || a.kind === 'optional'
    ? conflict(a.element, (b as typeof a).element)
    : false;
};

/** Structural equality of types. */
const sameType = (a: ValueType | undefined, b: ValueType | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

const checkArity = (
  call: Call,
  name: string,
  what: 'inputs' | 'outputs',
  found: number,
  expected: number,
) => {
  if (found !== expected) {
    const noun = expected === 1 ? what.slice(0, -1) : what;
    call.fail('subgraph-arity', `${name} must have ${expected} ${noun}, found ${found}`);
  }
};

const larger = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : Math.max(a, b);

/**
 * Both branches are inferred; a condition that is known picks the one whose types count. The multiply–accumulates are
 * those of the branch taken, or of the costlier one.
 */
const conditional: Rule = (call) => {
  const outputs = call.node.outputs.length;
  const branches = (['then_branch', 'else_branch'] as const).map((name) => {
    const graph = call.graph(name);
    checkArity(call, name, 'outputs', graph.outputs.length, outputs);
    return call.context.inferSubgraph(graph, []);
  });
  const [yes, no] = branches as [SubgraphResult, SubgraphResult];
  const condition = call.knownScalar(0);
  const taken = typeof condition === 'bigint' ? (condition ? yes : no) : undefined;
  call.bodyMacs = taken ? taken.macs : larger(yes.macs, no.macs);
  const common = yes.types.map((type, i) => {
    const other = no.types[i];
    if (type && other && conflict(type, other)) {
      call.warn(
        'branch-type',
        `output ${i} is ${describe(type)} in then_branch, ${describe(other)} in else_branch`,
        'error',
      );
    }
    return commonType(type, other);
  });
  return taken?.types ?? common;
};

const times = (macs: number | null, trips: Dim): number | null =>
  macs === 0 ? 0 : macs === null || !isKnown(trips) ? null : macs * trips;

const addAxis = (type: ValueType | undefined, axis: number, size: Dim, call: Call): ValueType | undefined => {
  if (type?.kind !== 'tensor') return undefined;
  if (type.shape === undefined) return tensorType(type.dtype);
  const at = call.axis(axis, type.shape.length + 1);
  return tensorType(type.dtype, [...type.shape.slice(0, at), size, ...type.shape.slice(at)]);
};

/** A widened type: the dimensions that changed over an iteration are unknown; the element type may not change. */
const widen = (before: ValueType | undefined, after: ValueType | undefined): ValueType | undefined => {
  if (before?.kind !== 'tensor') return commonType(before, after);
  return tensorType(
    before.dtype,
    commonShape(before.shape, after?.kind === 'tensor' ? after.shape : undefined),
  );
};

/** Passes over a body until the carried types hold still: as given, dimensions forgotten, then ranks forgotten. */
const MAX_WIDENINGS = 2;

/** Infers a body whose `count` carried values start as `initial`; `run` maps carried types to results. */
const iterate = (
  call: Call,
  initial: readonly (ValueType | undefined)[],
  run: (carried: readonly (ValueType | undefined)[]) => SubgraphResult,
  carriedOf: (result: SubgraphResult) => readonly (ValueType | undefined)[],
): { carried: readonly (ValueType | undefined)[]; result: SubgraphResult } => {
  let carried = initial;
  for (let round = 0; ; round++) {
    const stable = (result: SubgraphResult): boolean =>
      carriedOf(result).every((type, i) => sameType(widen(carried[i], type), carried[i]));
    const result = call.context.attempt(
      () => run(carried),
      (done) => round === MAX_WIDENINGS || stable(done),
    );
    if (stable(result) || round === MAX_WIDENINGS) return { carried, result };
    const after = carriedOf(result);
    carried = carried.map((type, i) => {
      const wide = widen(type, after[i]);
      if (round === 0 || wide?.kind !== 'tensor') return wide;
      return sameType(wide, type) ? wide : tensorType(wide.dtype);
    });
  }
};

/** The body's declarations of its inputs must not contradict what it is given. */
const checkFormals = (call: Call, body: Graph, given: readonly (ValueType | undefined)[]): void =>
  given.forEach((type, i) => {
    const declared = body.inputs[i]?.type;
    if (!conflict(type, declared)) return;
    const what = `input ${i} of the body is declared ${describe(declared!)}, it is given ${describe(type!)}`;
    call.warn('type-mismatch', what, 'error');
  });

/** A scalar that the loop makes; runtimes make a list of one where the body declares that. */
const formalOf = (body: Graph, index: number, dtype: 'int64' | 'bool'): ValueType => {
  const declared = body.inputs[index]?.type;
  const isList = declared?.kind === 'tensor' && declared.shape?.length === 1 && declared.shape[0] === 1;
  return tensorType(dtype, isList ? [1] : []);
};

const LONG_LOOP = 1_000_000n;

/** Inputs M?, cond?, then the carried values. The body takes (iteration, cond, carried…), gives (cond, carried…, scans…). */
const loop: Rule = (call) => {
  const body = call.graph('body');
  const count = Math.max(0, call.inputCount - 2);
  checkArity(call, 'body', 'inputs', body.inputs.length, count + 2);
  checkArity(call, 'body', 'outputs', body.outputs.length, call.node.outputs.length + 1);
  if (call.node.outputs.length < count) {
    call.fail('subgraph-arity', `carries ${count} values, the node has ${call.node.outputs.length} outputs`);
  }
  const initial = Array.from({ length: count }, (_, i) => call.type(i + 2));
  const iteration = formalOf(body, 0, 'int64');
  const condition = formalOf(body, 1, 'bool');
  checkFormals(call, body, [tensorType('int64'), tensorType('bool'), ...initial]);
  const { carried, result } = iterate(
    call,
    initial,
    (types) => call.context.inferSubgraph(body, [iteration, condition, ...types]),
    (done) => done.types.slice(1, count + 1),
  );
  result.types.slice(1, count + 1).forEach((type, i) => {
    if (conflict(initial[i], type)) {
      call.warn(
        'type-mismatch',
        `carried value ${i} is ${describe(initial[i]!)} before the body, ${describe(type!)} after it`,
        'error',
      );
    }
  });
  const trips = tripCount(call, body);
  const given = call.knownScalar(0);
  const inputs = call.node.inputs.flatMap((value) => (value ? [value] : []));
  if (
    typeof given === 'bigint' &&
    given > LONG_LOOP &&
    inputs.every((value) => call.context.constancyOf(value) !== undefined)
  ) {
    call.warn('constant-too-large', `runs ${given} times on constants: not folded`);
  }
  call.bodyMacs = times(result.macs, trips);
  return call.node.outputs.map((_, i) => {
    const type = result.types[i + 1];
    return i < count ? widen(carried[i], type) : addAxis(type, 0, trips, call);
  });
};

/** The number of iterations, known when the trip count is and the condition stays true. */
const tripCount = (call: Call, body: Graph): Dim => {
  const count = call.knownScalar(0);
  const start = call.has(1) ? call.knownScalar(1) : 1n;
  const next = body.outputs[0];
  if (typeof count !== 'bigint' || start !== 1n || next === undefined) return null;
  const stays = next === body.inputs[1] || call.context.knownOf(next)?.elements[0] === 1n;
  return stays ? Math.max(0, Number(count)) : null;
};

const dropAxis = (call: Call, type: ValueType | undefined, axis: number): ValueType | undefined => {
  if (type?.kind !== 'tensor' || type.shape === undefined) return type;
  const at = call.axis(axis, type.shape.length);
  return tensorType(
    type.dtype,
    type.shape.filter((_, i) => i !== at),
  );
};

/**
 * Scan. From opset 9: N states, then `num_scan_inputs` tensors cut along `scan_input_axes`. In opset 8 input 0 is
 * sequence_lens, axis 0 of everything is the batch and axis 1 the sequence.
 */
const scan: Rule = (call) => {
  const body = call.graph('body');
  const old = call.opset < 9;
  const scans = call.int('num_scan_inputs');
  if (scans === undefined) {
    if (call.isUnbound('num_scan_inputs')) return [];
    return call.fail('missing-attribute', 'num_scan_inputs is missing');
  }
  const first = old ? 1 : 0;
  const given = call.inputCount - first;
  if (scans < 1 || scans > given) {
    call.fail(
      'subgraph-arity',
      `num_scan_inputs is ${scans}, the node has ${given} input${given === 1 ? '' : 's'}`,
    );
  }
  const states = given - scans;
  checkArity(call, 'body', 'inputs', body.inputs.length, given);
  checkArity(call, 'body', 'outputs', body.outputs.length, call.node.outputs.length);
  const cut = axesList(call, 'scan_input_axes', scans);
  const joined = axesList(call, 'scan_output_axes', Math.max(0, call.node.outputs.length - states));
  let length: Dim = null;
  let batch: Dim = null;
  const elements = Array.from({ length: scans }, (_, i): ValueType | undefined => {
    const type = call.type(first + states + i);
    const shape: Shape | undefined = call.shape(first + states + i);
    const axis = shape && call.axis(old ? 1 : (cut[i] as number), shape.length);
    if (shape && axis !== undefined) {
      call.same(length, shape[axis], 'scan lengths');
      length = unifyDims(length, shape[axis]);
      batch = unifyDims(batch, shape[0]);
    }
    const element = dropAxis(call, type, old ? 1 : (cut[i] as number));
    return old ? dropAxis(call, element, 0) : element;
  });
  const initial = Array.from({ length: states }, (_, i) => {
    const type = call.type(first + i);
    return old ? dropAxis(call, type, 0) : type;
  });
  checkFormals(call, body, [...initial, ...elements]);
  const { carried, result } = iterate(
    call,
    initial,
    (types) => call.context.inferSubgraph(body, [...types, ...elements]),
    (done) => done.types.slice(0, states),
  );
  call.bodyMacs = times(old ? times(result.macs, batch) : result.macs, length);
  return call.node.outputs.map((_, i) => {
    const type = i < states ? widen(carried[i], result.types[i]) : result.types[i];
    if (i < states) return old ? addAxis(type, 0, batch, call) : type;
    const stacked = addAxis(type, old ? 0 : (joined[i - states] as number), length, call);
    return old ? addAxis(stacked, 0, batch, call) : stacked;
  });
};

const axesList = (call: Call, name: string, count: number): number[] => {
  const axes = call.ints(name) ?? new Array<number>(count).fill(0);
  if (axes.length !== count)
    call.fail('rank-mismatch', `${name} has ${axes.length} entries, expected ${count}`);
  return axes;
};

/** The body maps elements of the sequence (and tensors, passed whole) to elements of the output sequences. */
const sequenceMap: Rule = (call) => {
  const body = call.graph('body');
  checkArity(call, 'body', 'inputs', body.inputs.length, call.inputCount);
  checkArity(call, 'body', 'outputs', body.outputs.length, call.node.outputs.length);
  const inputs = call.node.inputs.map((_, i) => {
    const type = call.type(i);
    return type?.kind === 'sequence' ? type.element : type;
  });
  const result = call.context.inferSubgraph(body, inputs);
  call.bodyMacs = result.macs === 0 ? 0 : null;
  return result.types.map((element) => ({ kind: 'sequence', element }));
};

export const controlRules: RuleTable = {
  If: conditional,
  Loop: loop,
  Scan: scan,
  SequenceMap: sequenceMap,
};
