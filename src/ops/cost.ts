/** What running a model costs, in multiply–accumulates (infer/macs.ts has the formulas). */
import type { Model } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import { inferShapes } from './infer/index.ts';
import { countMacs } from './infer/macs.ts';

/**
 * Multiply–accumulates of one node from the types its values have: 0 for operators that do none, null when a needed
 * shape is unknown. Bodies count 0 here: `Inference.macsOf` (infer/index.ts) follows subgraphs and local functions.
 */
export const macsOf = (node: Node): number | null => countMacs(node, (value) => value.type);

/**
 * Multiply–accumulates of one run of a model: loops times their iterations, the costlier branch of each If, functions
 * call by call; null when a shape or count it depends on is unknown. The model stays as it is.
 */
export const modelMacs = (model: Model): number | null => inferShapes(model, { dryRun: true }).macs;
