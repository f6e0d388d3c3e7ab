/** The runtimes that can run a model. */
import { onnxruntimeNode } from './onnxruntime-node.ts';
import type { Runtime } from './session.ts';

export const runtimes = { 'onnxruntime-node': onnxruntimeNode } as const satisfies Record<string, Runtime>;

export type RuntimeName = keyof typeof runtimes;
