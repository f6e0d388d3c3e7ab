/** A profile in numbers that people and programs read: rates, roofs, shares, sums by operator, and what stands out. */
import { groupBy } from '../core/group-by.ts';
import type { Finding } from '../core/report.ts';
import type { ProfileData, ProfileNodeData } from '../report/schemas/bench-profile.ts';
import type { ModelProfile } from './profile.ts';
import type { KernelTensor } from './profile-events.ts';
import type { KernelWork } from './profile-join.ts';
import { type MachinePeaks, roofOf } from './roofline.ts';

/** Operators that only change types or how values lie in memory. */
const CONVERSIONS: ReadonlySet<string> = new Set([
  'ReorderInput',
  'ReorderOutput',
  'Cast',
  'Transpose',
  'QuantizeLinear',
  'DequantizeLinear',
]);

/** A node with at least this share of the time and at most this efficiency is slow. */
const SLOW_SHARE = 0.02;
const SLOW_EFFICIENCY = 0.1;

/** Kernels that take at least this share and exceed the roof by more show that the machine was not at its best. */
const EXCEEDING_SHARE = 0.01;
const EXCEEDING_EFFICIENCY = 1.2;

/** Conversions are worth a word from this share of the time on. */
const CONVERSION_SHARE = 0.15;

const baseOf = (op: string): string => op.slice(op.lastIndexOf('.') + 1);

const tensorData = ({ dtype, dims }: KernelTensor): { dtype: string | null; shape: number[] } => ({
  dtype: dtype ?? null,
  shape: [...dims],
});

interface Totals {
  readonly ms: number;
  readonly leastMs: number;
}

const nodeData = (work: KernelWork, total: Totals, peaks: MachinePeaks): ProfileNodeData => {
  const { timing, op, macs, flops, bytes, origins } = work;
  const { name, calls, ms, leastMs, quartilesMs, inputs, outputs } = timing;
  const roof = roofOf(work, peaks);
  const hasRoof = roof.ms > 0;
  const rate = (amount: number): number | null =>
    leastMs > 0 && amount > 0 ? (amount * calls) / (leastMs * 1e6) : null;
  const efficiency = hasRoof && leastMs > 0 ? (roof.ms * calls) / leastMs : null;
  return {
    name,
    op,
    calls,
    ms,
    leastMs,
    quartilesMs: [...quartilesMs],
    share: total.ms > 0 ? ms / total.ms : 0,
    inputs: inputs.map(tensorData),
    outputs: outputs.map(tensorData),
    macs,
    bytes,
    gflops: rate(flops),
    gbPerS: rate(bytes),
    roofMs: hasRoof ? roof.ms * calls : null,
    boundBy: hasRoof ? roof.boundBy : null,
    efficiency,
    // By the least times: a kernel that was only interrupted is not slow.
    isSlow: efficiency !== null && efficiency <= SLOW_EFFICIENCY && leastMs >= SLOW_SHARE * total.leastMs,
    origins: origins?.map((node) => node.name || node.op) ?? null,
  };
};

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const operatorsOf = (nodes: readonly ProfileNodeData[]): ProfileData['operators'] => {
  const groups = groupBy(nodes, ({ op }) => op);
  return [...groups]
    .map(([op, members]) => {
      const macs = members.map((node) => (node.macs === null ? null : node.macs * node.calls));
      return {
        op,
        nodes: members.length,
        ms: sumOf(members.map(({ ms }) => ms)),
        share: sumOf(members.map(({ share }) => share)),
        macs: macs.includes(null) ? null : sumOf(macs.map((value) => value ?? 0)),
      };
    })
    .sort((a, b) => b.ms - a.ms || (a.op < b.op ? -1 : 1));
};

export const profileData = ({ timing, work, unreadable }: ModelProfile, peaks: MachinePeaks): ProfileData => {
  const { runs, runMs, kernelMs, overheadMs } = timing;
  const total: Totals = {
    ms: sumOf(timing.nodes.map(({ ms }) => ms)),
    leastMs: sumOf(timing.nodes.map(({ leastMs }) => leastMs)),
  };
  const nodes = work.map((one) => nodeData(one, total, peaks)).sort((a, b) => b.ms - a.ms);
  const conversions = nodes.filter(({ op }) => CONVERSIONS.has(baseOf(op)));
  return {
    runs,
    runMs,
    kernelMs,
    overheadMs,
    operators: operatorsOf(nodes),
    conversions: {
      ms: sumOf(conversions.map(({ ms }) => ms)),
      share: sumOf(conversions.map(({ share }) => share)),
      nodes: conversions.length,
      added: conversions.filter(({ origins }) => origins?.length === 0).length,
    },
    nodes,
    notJoined: nodes.filter(({ origins }) => origins === null).length,
    unreadable,
  };
};

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

/** What a profile says that is worth doing something about. */
export const profileFindings = (model: string, file: string, data: ProfileData): Finding[] => {
  const findings: Finding[] = [];
  const slow = data.nodes.filter(({ isSlow }) => isSlow);
  for (const [op, nodes] of groupBy(slow, (node) => node.op)) {
    const share = sumOf(nodes.map((node) => node.share));
    const reached =
      sumOf(nodes.map(({ roofMs }) => roofMs ?? 0)) / sumOf(nodes.map(({ leastMs }) => leastMs));
    const isOne = nodes.length === 1;
    findings.push({
      level: 'note',
      rule: 'slow-kernel',
      message: `${model}: ${isOne ? 'one kernel' : `${nodes.length} kernels`} of ${op} ${isOne ? 'takes' : 'take'} ${percent(share)} of the time and ${isOne ? 'reaches' : 'reach'} ${percent(reached)} of what this machine allows`,
      hint: 'probably a generic implementation: another level, layout or element type may have a faster one',
      at: { file, node: nodes[0]!.name },
    });
  }
  const { conversions } = data;
  if (conversions.share >= CONVERSION_SHARE) {
    findings.push({
      level: 'note',
      rule: 'conversion-overhead',
      message: `${model}: ${percent(conversions.share)} of the time goes into converting types and layouts (${conversions.nodes} nodes, ${conversions.added} of them added by the runtime)`,
      hint: 'the runtime changes layouts between operators that do and do not know them: compare --level extended',
      at: { file },
    });
  }
  const exceeding = data.nodes.filter(
    ({ efficiency, share }) => (efficiency ?? 0) > EXCEEDING_EFFICIENCY && share >= EXCEEDING_SHARE,
  );
  if (exceeding.length > 0) {
    findings.push({
      level: 'note',
      rule: 'roof-exceeded',
      message: `${model}: ${exceeding.length === 1 ? 'one kernel reaches' : `${exceeding.length} kernels reach`} more than this machine seemed to allow: its peaks are measured too low, and what is below them seems too good`,
      hint: 'other work disturbed the measurement: a quiet machine and a longer --duration make it sharper',
      at: { file },
    });
  }
  if (data.unreadable > 0) {
    findings.push({
      level: 'note',
      rule: 'profile-unreadable',
      message: `${model}: ${data.unreadable} records of the profiler could not be read`,
      at: { file },
    });
  }
  return findings;
};
