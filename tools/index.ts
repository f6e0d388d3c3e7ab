/** Registry of the tools: one line each. A tool is loaded only when it is asked for. */
import type { Command } from '../src/cli/commands.ts';

export const tools = {
  inspect: { summary: 'what is in a model or a file of weights', load: () => import('./inspect.ts') },
  diff: { summary: 'what differs between the weights of two files', load: () => import('./diff.ts') },
  remap: {
    summary: 'rename, select, transform, cast and re-save a state dict',
    load: () => import('./remap.ts'),
  },
  convert: { summary: 'a checkpoint becomes an ONNX model', load: () => import('./convert.ts') },
  optimize: { summary: "graph passes, then the runtime's own level", load: () => import('./optimize.ts') },
  quantize: { summary: 'the model in fewer bits', load: () => import('./quantize.ts') },
  verify: { summary: 'numeric parity with a model or stored outputs', load: () => import('./verify.ts') },
  bench: { summary: 'latency, alone and together', load: () => import('./bench.ts') },
  doctor: { summary: 'why is it slow, or wrong', load: () => import('./doctor.ts') },
  tune: {
    summary: 'the fastest session options for this machine',
    load: () => import('./tune.ts'),
  },
  run: { summary: 'a whole job file', load: () => import('./run.ts') },
} as const satisfies Record<string, Command>;
