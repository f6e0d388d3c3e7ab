/**
 * The experiments, in the order they run: what is wrong rather than slow comes first, then how models are run, then what
 * is in them, then what was seen meanwhile. A new one is a file here and a line below.
 */
import { cpuQuota } from './cpu-quota.ts';
import { differentOutputs } from './different-outputs.ts';
import { executionMode } from './execution-mode.ts';
import type { Experiment } from './experiment.ts';
import { firstRun } from './first-run.ts';
import { float16OnCpu } from './float16-on-cpu.ts';
import { frequencyDrift } from './frequency-drift.ts';
import { memoryArena } from './memory-arena.ts';
import { memorySwapping } from './memory-swapping.ts';
import { optimizationLevel } from './optimization-level.ts';
import { otherProcesses } from './other-processes.ts';
import { prepacking } from './prepacking.ts';
import { quantizedBelowExtended } from './quantized-below-extended.ts';
import { shapeReplanning } from './shape-replanning.ts';
import { spinningContention } from './spinning-contention.ts';
import { subnormalActivations } from './subnormal-activations.ts';
import { subnormalWeights } from './subnormal-weights.ts';
import { threadOversubscription } from './thread-oversubscription.ts';
import { unfusedPatterns } from './unfused-patterns.ts';
import { weightsNotLoaded } from './weights-not-loaded.ts';

export const experiments = {
  'weights-not-loaded': weightsNotLoaded,
  'different-outputs': differentOutputs,
  'cpu-quota': cpuQuota,
  'thread-oversubscription': threadOversubscription,
  'quantized-below-extended': quantizedBelowExtended,
  'optimization-level': optimizationLevel,
  'execution-mode': executionMode,
  'memory-arena': memoryArena,
  prepacking,
  'subnormal-weights': subnormalWeights,
  'float16-on-cpu': float16OnCpu,
  'unfused-patterns': unfusedPatterns,
  'subnormal-activations': subnormalActivations,
  'spinning-contention': spinningContention,
  'shape-replanning': shapeReplanning,
  'first-run': firstRun,
  'memory-swapping': memorySwapping,
  'other-processes': otherProcesses,
  'frequency-drift': frequencyDrift,
} as const satisfies Record<string, Experiment>;

export type CauseName = keyof typeof experiments;
