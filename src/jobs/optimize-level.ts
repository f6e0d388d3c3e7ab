/**
 * The runtime's own optimisation level, put to use: the runtime saves what it made of a model, and what it should not
 * have touched is put back.
 *
 * - imports: it adds those of every domain it knows; only what is used stays;
 * - interface: inputs and outputs keep their declared types and texts, the model its metadata;
 * - size: it folds constants, also those that are larger than what computes them (ConstantOfShape, Expand). Where that
 *   grows the model noticeably, folding is switched off.
 */
import { OrthoError } from '../core/errors.ts';
import { allNodes } from '../ir/graph.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import { modelToProto } from '../ir/to-proto.ts';
import { encodeModel } from '../proto/encode.ts';
import type { ModelProto } from '../proto/schema.ts';
import { saveOptimizedModel } from '../runtime/isolated.ts';
import type { Level, ProcessLimits, SessionOptions } from '../runtime/session.ts';
import { countRandomNodes } from '../verify/random-outputs.ts';

/** Growth that is put down to folded constants: more than this, and more than a tenth. */
const LEAST_GROWTH = 1 << 20;

const isBlownUp = (before: number, after: number): boolean =>
  after - before > Math.max(LEAST_GROWTH, before / 10);

/** Bytes of a model's file, all data inside. */
const encodedSize = (model: Model): number =>
  encodeModel(modelToProto(model)).reduce(
    (total, segment) => total + (segment instanceof Uint8Array ? segment.length : segment.size),
    0,
  );

/** What the runtime would lose; undefined where it keeps everything. */
const lossOf = (model: Model): string | undefined => {
  const proto = model.origin as ModelProto | undefined;
  if ((proto?.trainingInfo.length ?? 0) > 0) return 'the runtime drops training_info';
  if ((proto?.graph?.quantizationAnnotation.length ?? 0) > 0)
    return 'the runtime drops quantization_annotation';
  return undefined;
};

/** Keeps the imports of domains that are used, and of the standard one. */
const stripImports = (model: Model): void => {
  const used = new Set(['']);
  for (const { body, domain } of model.functions) {
    used.add(domain);
    for (const node of allNodes(body)) used.add(node.domain);
  }
  for (const node of allNodes(model.graph)) used.add(node.domain);
  for (const domain of [...model.opsets.keys()]) if (!used.has(domain)) model.opsets.delete(domain);
};

const countNodes = ({ graph, functions }: Model): number =>
  [graph, ...functions.map(({ body }) => body)].reduce((total, one) => total + [...allNodes(one)].length, 0);

const failure = (message: string): OrthoError => new OrthoError('runtime/failed', message);

/** Gives inputs, outputs and metadata back what the original says of them. @throws runtime/failed */
const restoreInterface = (model: Model, original: Model): void => {
  const { graph } = model;
  const old = original.graph;
  const sameNames = (a: readonly { name: string }[], b: readonly { name: string }[]): boolean =>
    a.length === b.length && a.every(({ name }, i) => name === b[i]!.name);
  if (!sameNames(graph.slots, old.slots)) throw failure('the runtime changed the outputs');
  if (!sameNames(graph.inputs, old.inputs)) throw failure('the runtime changed the inputs');
  graph.inputs.forEach((input, i) => {
    const before = old.inputs[i]!;
    if ((input.initializer === undefined) !== (before.initializer === undefined)) {
      throw failure(`the runtime changed the default of input "${input.name}"`);
    }
    input.type = before.type;
    input.docString = before.docString;
    input.origin = before.origin;
  });
  graph.slots.forEach((slot, i) => {
    const { type, docString, origin } = old.slots[i]!;
    Object.assign(slot, { type, docString, origin });
  });
  graph.name = old.name;
  graph.docString = old.docString;
  model.producerName = original.producerName;
  model.producerVersion = original.producerVersion;
  model.docString = original.docString;
  model.metadata.clear();
  for (const [key, value] of original.metadata) model.metadata.set(key, value);
};

export interface LevelRequest {
  /** The model as it is in the file `path`. */
  readonly model: Model;
  readonly path: string;
  /** A file that may be overwritten; the result reads from it. */
  readonly scratch: string;
  readonly level: Level;
  readonly disabledOptimizers: readonly string[];
  /** Passes that undo what the runtime leaves behind (unshared initializers), before sizes are compared. */
  readonly tidy: (model: Model) => void;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
}

export interface LevelResult {
  readonly model: Model;
  readonly ms: number;
  /** Nodes fewer (more, if negative) than before, after tidying up. */
  readonly nodesRemoved: number;
  /** True when constant folding had to be switched off. */
  readonly withoutFolding: boolean;
}

/**
 * Applies the runtime's level.
 * @throws OrthoError runtime/* when the runtime does not load the model or changes what it must not change
 */
export const applyLevel = async (request: LevelRequest): Promise<LevelResult> => {
  const { model, path, scratch, level, disabledOptimizers, session = {} } = request;
  const loss = lossOf(model);
  if (loss !== undefined) throw failure(loss);
  const before = encodedSize(model);
  const random = countRandomNodes(model);
  for (const withoutFolding of [false, true]) {
    const disabled = withoutFolding ? [...disabledOptimizers, 'ConstantFolding'] : disabledOptimizers;
    const { ms } = await saveOptimizedModel(path, scratch, {
      ...session,
      level,
      disabledOptimizers: disabled,
    });
    const result = loadModel(scratch);
    restoreInterface(result, model);
    stripImports(result);
    request.tidy(result);
    if (countRandomNodes(result) !== random)
      throw failure('the runtime removed, merged or folded random operators');
    if (!isBlownUp(before, encodedSize(result))) {
      const nodesRemoved = countNodes(model) - countNodes(result);
      return { model: result, ms, nodesRemoved, withoutFolding };
    }
    result.close();
  }
  throw failure(`the model grows beyond ${before} bytes by more than a tenth`);
};
