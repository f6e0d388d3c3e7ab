/**
 * Where the difference between two profiles comes from. Nodes of both sides are matched by the nodes of the models that
 * they stand for; those left, in order, by operator and shapes. What has no counterpart was added or removed. A node is
 * slower or faster only when its quartiles do not overlap: two profiles of one model differ as well.
 */
import { groupBy } from '../core/group-by.ts';
import type { AttributionData, ProfileData, ProfileNodeData } from '../report/schemas/bench-profile.ts';

interface NamedProfile {
  readonly name: string;
  readonly profile: ProfileData;
}

type Pair = readonly [before: ProfileNodeData | undefined, after: ProfileNodeData | undefined];

/** Nodes that are listed; the others are summed up. */
const MOST_NODES = 50;

const shapeKey = ({ op, inputs, outputs }: ProfileNodeData): string =>
  JSON.stringify([op, inputs.map(({ shape }) => shape), outputs.map(({ dtype, shape }) => [dtype, shape])]);

const pairUp = (before: readonly ProfileNodeData[], after: readonly ProfileNodeData[]): Pair[] => {
  const pairs: Pair[] = [];
  const taken = new Set<ProfileNodeData>();
  const take = (left: ProfileNodeData, right: ProfileNodeData | undefined): boolean => {
    if (right === undefined || taken.has(right)) return false;
    taken.add(left);
    taken.add(right);
    pairs.push([left, right]);
    return true;
  };
  const byOrigin = new Map<string, ProfileNodeData>();
  for (const node of after) for (const origin of node.origins ?? []) byOrigin.set(origin, node);
  for (const node of before) (node.origins ?? []).some((origin) => take(node, byOrigin.get(origin)));
  const byShape = groupBy(
    after.filter((node) => !taken.has(node)),
    shapeKey,
  );
  for (const node of before) {
    if (!taken.has(node)) take(node, byShape.get(shapeKey(node))?.shift());
  }
  for (const node of before) if (!taken.has(node)) pairs.push([node, undefined]);
  for (const node of after) if (!taken.has(node)) pairs.push([undefined, node]);
  return pairs;
};

const sumMs = (nodes: readonly { readonly ms: number }[]): number =>
  nodes.reduce((sum, { ms }) => sum + ms, 0);

const bySize = (a: { readonly differenceMs: number }, b: { readonly differenceMs: number }): number =>
  Math.abs(b.differenceMs) - Math.abs(a.differenceMs);

const changeOf = ([before, after]: Pair): AttributionData['nodes'][number]['change'] => {
  if (before === undefined) return 'added';
  if (after === undefined) return 'removed';
  if (after.quartilesMs[0] > before.quartilesMs[1]) return 'slower';
  return after.quartilesMs[1] < before.quartilesMs[0] ? 'faster' : 'unclear';
};

const describe = (pair: Pair): AttributionData['nodes'][number] => {
  const [before, after] = pair;
  const beforeMs = before?.ms ?? 0;
  const afterMs = after?.ms ?? 0;
  return {
    change: changeOf(pair),
    op: (after ?? before)!.op,
    before: before?.name ?? null,
    after: after?.name ?? null,
    beforeMs,
    afterMs,
    differenceMs: afterMs - beforeMs,
  };
};

export const attribute = (baseline: NamedProfile, candidate: NamedProfile): AttributionData => {
  const before = baseline.profile.nodes;
  const after = candidate.profile.nodes;
  const nodes = pairUp(before, after)
    .map(describe)
    .filter(({ differenceMs }) => differenceMs !== 0)
    .sort(bySize);
  const msOf = (profile: ProfileData, op: string): number =>
    profile.operators.find((operator) => operator.op === op)?.ms ?? 0;
  const names = new Set([...baseline.profile.operators, ...candidate.profile.operators].map(({ op }) => op));
  return {
    baseline: baseline.name,
    candidate: candidate.name,
    beforeMs: sumMs(before),
    afterMs: sumMs(after),
    operators: [...names]
      .map((op) => {
        const [beforeMs, afterMs] = [msOf(baseline.profile, op), msOf(candidate.profile, op)];
        return { op, beforeMs, afterMs, differenceMs: afterMs - beforeMs };
      })
      .sort(bySize),
    nodes: nodes.slice(0, MOST_NODES),
    restMs: nodes.slice(MOST_NODES).reduce((sum, { differenceMs }) => sum + differenceMs, 0),
  };
};
