/** The part of a bench report that profiles: operators and nodes by time, the machine's peaks, and attributions. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, table } from '../document.ts';
import { formatBytes, formatCount, formatMs, formatNumber, NONE } from '../format.ts';
import type { AttributionData, PeaksData, ProfileData } from '../schemas/bench-profile.ts';

/** Nodes and operators that are shown without `-v`. */
const SHOWN = 12;

const percent = (share: number): string => `${(100 * share).toFixed(1)}`;

const orNone = (value: number | null, format: (value: number) => string): string =>
  value === null ? NONE : format(value);

/** `com.microsoft.nchwc.Conv` is `nchwc.Conv`: what every reader knows is left out. */
const shortOp = (op: string): string => printable(op.replace(/^com\.microsoft\./, ''));

const signed = (ms: number): string => `${ms < 0 ? '−' : '+'}${formatMs(Math.abs(ms))}`;

const cut = <T>(rows: readonly T[], all: boolean): readonly T[] => (all ? rows : rows.slice(0, SHOWN));

const title = (what: string, shown: number, total: number): string =>
  shown < total ? `${what} (the first ${shown} of ${total})` : what;

export const profileBlocks = (model: string, profile: ProfileData, all: boolean): Block[] => {
  const { operators, nodes, conversions } = profile;
  const shownOperators = cut(operators, all);
  const shownNodes = cut(nodes, all);
  const name = printable(model);
  return [
    facts(
      [
        [
          'time',
          `${formatMs(profile.runMs)} ms a run: kernels ${formatMs(profile.kernelMs)}, the rest ${formatMs(profile.overheadMs)}`,
        ],
        [
          'conversions',
          `${percent(conversions.share)} % in ${conversions.nodes} nodes, ${conversions.added} of them added by the runtime`,
        ],
        ['runs', `${profile.runs} under the profiler, whose records cost time of their own`],
        ['not joined', `${profile.notJoined} of ${nodes.length} nodes`],
      ],
      `profile of ${name}`,
    ),
    table(
      ['operator', '>nodes', '>ms', '>%', '>MACs'],
      shownOperators.map(({ op, nodes: count, ms, share, macs }) => [
        shortOp(op),
        String(count),
        formatMs(ms),
        percent(share),
        orNone(macs, formatCount),
      ]),
      title(`operators of ${name}`, shownOperators.length, operators.length),
    ),
    table(
      ['node', 'operator', '>ms', '>%', '>MACs', '>bytes', '>GFLOP/s', '>GB/s', '>% of roof', 'bound by'],
      shownNodes.map((node) => [
        printable(node.name),
        shortOp(node.op),
        formatMs(node.ms),
        percent(node.share),
        orNone(node.macs, formatCount),
        formatBytes(node.bytes),
        orNone(node.gflops, (value) => formatNumber(value, 3)),
        orNone(node.gbPerS, (value) => formatNumber(value, 3)),
        orNone(node.efficiency, (value) => `${(100 * value).toFixed(0)}${node.isSlow ? ' slow' : ''}`),
        node.boundBy ?? NONE,
      ]),
      title(`nodes of ${name}`, shownNodes.length, nodes.length),
    ),
  ];
};

export const peaksBlock = ({ gflops, int8Gops, bandwidth }: PeaksData): Block =>
  facts(
    [
      [
        'compute',
        `${formatNumber(gflops, 3)} GFLOP/s${int8Gops === null ? '' : `, ${formatNumber(int8Gops, 3)} Gop/s of 8 bits`}`,
      ],
      [
        'bandwidth',
        bandwidth
          .map(({ bytes, gbPerS }) => `${formatNumber(gbPerS, 3)} GB/s at ${formatBytes(bytes)}`)
          .join(', '),
      ],
    ],
    'what this machine reached, with the same options',
  );

export const attributionBlocks = (attribution: AttributionData, all: boolean): Block[] => {
  const { baseline, candidate, beforeMs, afterMs, operators, nodes, restMs } = attribution;
  const between = `${printable(candidate)} against ${printable(baseline)}`;
  const shownOperators = cut(operators, all);
  const shownNodes = cut(nodes, all);
  const hidden = restMs + nodes.slice(shownNodes.length).reduce((sum, node) => sum + node.differenceMs, 0);
  return [
    table(
      ['operator', '>before ms', '>after ms', '>difference'],
      [
        ...shownOperators.map((row) => [
          shortOp(row.op),
          formatMs(row.beforeMs),
          formatMs(row.afterMs),
          signed(row.differenceMs),
        ]),
        ['all', formatMs(beforeMs), formatMs(afterMs), signed(afterMs - beforeMs)],
      ],
      `where the difference comes from, ${between}`,
    ),
    table(
      ['', 'before', 'after', 'operator', '>difference ms'],
      [
        ...shownNodes.map((node) => [
          node.change,
          node.before === null ? NONE : printable(node.before),
          node.after === null ? NONE : printable(node.after),
          shortOp(node.op),
          signed(node.differenceMs),
        ]),
        ...(shownNodes.length === nodes.length && restMs === 0
          ? []
          : [['others', '', '', '', signed(hidden)]]),
      ],
      `nodes, ${between}`,
    ),
  ];
};
