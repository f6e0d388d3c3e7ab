/** run: the stages in one table, and the machine that timed them. */
import { printable } from '../../core/printable.ts';
import { facts, type Layout, table } from '../document.ts';
import { formatBytes, formatMs, formatScalar, NONE } from '../format.ts';
import type { BenchData } from '../schemas/bench.ts';
import type { RunData, StageData } from '../schemas/run.ts';

const orNone = <T>(value: T | null, show: (value: T) => string): string =>
  value === null ? NONE : show(value);

const keysOf = ({ keysMatched, keysNeeded }: StageData): string =>
  keysMatched === null ? NONE : `${keysMatched} of ${keysNeeded}`;

const int8Of = ({ quantization, quantizedBytes }: StageData): string =>
  quantizedBytes === null ? orNone(quantization, (text) => text) : formatBytes(quantizedBytes);

const machineOf = ({ environment }: BenchData): string =>
  ['cpu', 'cores', 'node', 'onnxruntime']
    .map((key) => `${key} ${printable(formatScalar(environment[key]))}`)
    .join(', ');

export const runLayout: Layout<RunData> = ({ stages, jobs, bench }) => [
  table(
    [
      'stage',
      'architecture',
      '>keys matched',
      '>max abs error',
      '>size',
      '>int8',
      '>p50 alone',
      '>p50 together',
      '>spinning stopped',
      'result',
    ],
    stages.map((stage, i) => [
      printable(stage.name),
      orNone(stage.architecture, printable),
      keysOf(stage),
      orNone(stage.maxAbs, (value) => value.toExponential(1)),
      orNone(stage.bytes, formatBytes),
      int8Of(stage),
      orNone(stage.aloneP50, formatMs),
      orNone(stage.togetherP50, formatMs),
      orNone(stage.togetherSpinStopP50, formatMs),
      jobs[i]?.ok ? 'ok' : 'FAILED',
    ]),
  ),
  ...(bench === null ? [] : [facts([['times in ms on', machineOf(bench)]])]),
];
