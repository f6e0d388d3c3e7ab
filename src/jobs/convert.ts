/**
 * Checkpoint to ONNX: read, rename the keys, build the architecture on them, prove the result, write it.
 *
 * Nothing is written unless every needed key is there with its shape, the model loads and runs, and, where reference
 * outputs are given, agrees with them.
 */
import { createHash } from 'node:crypto';
import type { Architecture } from '../convert/architecture.ts';
import { buildNetwork, type Network } from '../convert/build.ts';
import { detectArchitecture, findHidingPrefix, judge, noArchitectureError } from '../convert/detect.ts';
import {
  castToFloat16,
  countParameters,
  flushSubnormalWeights,
  foldBatchNorms,
  nonFiniteWeights,
} from '../convert/finish.ts';
import { type DynamicDim, type FixedShape, resolveShapes } from '../convert/input-shapes.ts';
import { type KeyLeniency, keyFaults, keyNotes } from '../convert/key-findings.ts';
import { loadArchitecture } from '../convert/load-architecture.ts';
import { checkOpset, DEFAULT_OPSET, irVersionFor } from '../convert/opset.ts';
import { remap } from '../convert/remap.ts';
import { globMatcher } from '../core/glob.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report, type Subject } from '../core/report.ts';
import { chunksOf } from '../core/source.ts';
import { VERSION } from '../core/version.ts';
import { openWeights } from '../formats/index.ts';
import { pickStateDict, type StateDict, type WeightTensor } from '../formats/state-dict.ts';
import { Model } from '../ir/model.ts';
import type { ConvertData } from '../report/schemas/convert.ts';
import { runtimes } from '../runtime/index.ts';
import type { SessionProcess } from '../runtime/session.ts';
import { holds } from '../verify/parity.ts';
import { type ConvertProofOptions, checkProofOptions, proveConverted } from './convert-proof.ts';
import { dataFiles } from './data-files.ts';
import { writeModel, writeModelWithData } from './model-file.ts';
import { checkOutput, moveIntoPlace } from './output.ts';
import { withScratchFile } from './scratch.ts';
import { subjectOf } from './subject.ts';
import { parityFindings } from './verify.ts';

export interface ConvertOptions extends ConvertProofOptions, KeyLeniency {
  /** A weight file. */
  readonly source: string;
  readonly output: string;
  /** A registered name or the path of a module; without it the keys decide. */
  readonly architecture?: string | undefined;
  /** Path of the state dict inside the file. */
  readonly stateDict?: string | undefined;
  /** Default: `module.`, which DataParallel puts before every key; false strips nothing. */
  readonly stripPrefix?: string | false | undefined;
  readonly rename?: readonly { readonly from: string; readonly to: string }[];
  readonly opset?: number | undefined;
  readonly inputShapes?: readonly FixedShape[];
  readonly dynamic?: readonly DynamicDim[];
  readonly dtype?: 'float32' | 'float16' | undefined;
  readonly keepSubnormals?: boolean;
  readonly externalData?: boolean;
  readonly force?: boolean;
  readonly hash?: boolean;
  /** A process that is already up, and ended with the job; without one, one is started. */
  readonly process?: SessionProcess | undefined;
  readonly io?: JobIo;
}

/** What DataParallel puts before every key; twice where it wraps DistributedDataParallel. */
const DATA_PARALLEL = 'module.';

interface RenamedKeys {
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /** The prefix that was taken off keys; '' when none was. */
  readonly stripped: string;
}

/** The tensors under their new keys, with a note of what was stripped. */
const renameKeys = (dict: StateDict, options: ConvertOptions, findings: Finding[]): RenamedKeys => {
  const { stripPrefix, rename = [] } = options;
  const keys = [...dict.tensors.keys()];
  const isTwice = keys.some((key) => key.startsWith(DATA_PARALLEL.repeat(2)));
  const usual = isTwice ? [DATA_PARALLEL, DATA_PARALLEL] : [DATA_PARALLEL];
  const prefixes = stripPrefix === undefined ? usual : stripPrefix === false ? [] : [stripPrefix];
  const prefix = prefixes.join('');
  const mayLack = globMatcher([...(options.allowMissing ?? []), ...(options.allowUnexpected ?? [])]);
  const { tensors, unused } = remap(dict, { stripPrefix: prefixes, rename, mayLack });
  const count = prefix === '' ? 0 : keys.filter((key) => key.startsWith(prefix)).length;
  if (count > 0) {
    findings.push({
      level: 'note',
      rule: 'stripped-prefix',
      message: `"${prefix}" stripped from ${count} of ${keys.length} keys`,
    });
  }
  for (const rule of unused) {
    if (rule === DATA_PARALLEL && stripPrefix === undefined) continue;
    findings.push({ level: 'warning', rule: 'unused-rule', message: `no key begins with "${rule}"` });
  }
  return { tensors, stripped: count > 0 ? prefix : '' };
};

/**
 * The architecture asked for, or the one that the keys show. Where only a prefix stands between the keys and an
 * architecture it is that one, and the error that names the prefix comes with it.
 * @throws convert/no-architecture
 */
const chooseArchitecture = (
  wanted: Architecture | undefined,
  { tensors, stripped }: RenamedKeys,
  { source, stripPrefix }: ConvertOptions,
): { readonly architecture: Architecture; readonly fault?: Finding } => {
  const found = wanted ?? detectArchitecture(tensors)?.architecture;
  if (found !== undefined && (wanted === undefined || judge(wanted, tensors).match.used.length > 0))
    return { architecture: found };
  const hidden = findHidingPrefix(tensors, wanted);
  if (hidden === undefined) {
    if (wanted !== undefined) return { architecture: wanted };
    throw noArchitectureError(source, tensors);
  }
  const { prefix, candidate } = hidden;
  const { architecture, match } = candidate;
  const isRefused = stripPrefix === false && prefix === DATA_PARALLEL;
  const fault: Finding = {
    level: 'error',
    rule: 'weights/missing-key',
    message: `no key fits as it is; without the prefix "${prefix}" ${match.matched.length} of ${tensors.size} keys match ${architecture.name}`,
    hint: `${isRefused ? 'leave out --no-strip-prefix, or give ' : ''}--strip-prefix ${stripped}${prefix}`,
  };
  return { architecture, fault };
};

const NOT_PROVED: Finding = {
  level: 'note',
  rule: 'not-proved',
  message:
    'the model loads and runs; without reference outputs nothing says that it computes what PyTorch does',
  hint: 'give --reference CASE.npz, or --input and --expect',
};

/** sha256 over key, dtype, dims and bytes of every tensor that the network reads, in its order. */
const hashWeights = ({ parameters }: Network): string => {
  const hash = createHash('sha256');
  for (const [key, { needed }] of parameters.requests) {
    const tensor = needed ? parameters.find(key) : undefined;
    if (tensor === undefined) continue;
    hash.update(`${JSON.stringify([key, tensor.dtype, tensor.dims])}\n`);
    for (const chunk of chunksOf(tensor.data)) hash.update(chunk);
  }
  return hash.digest('hex');
};

/** The deployed form of the network as a model; the number of subnormal weights that were set to zero. */
const finishModel = (
  network: Network,
  architecture: Architecture,
  { opset = DEFAULT_OPSET, dtype = 'float32', keepSubnormals = false }: ConvertOptions,
  findings: Finding[],
): { model: Model; flushed: number } => {
  const { graph } = network;
  const weights = hashWeights(network);
  foldBatchNorms(graph);
  const flushed = keepSubnormals ? { tensors: 0, elements: 0 } : flushSubnormalWeights(graph);
  if (flushed.elements > 0) {
    findings.push({
      level: 'note',
      rule: 'flushed-subnormals',
      message: `${flushed.elements} subnormal weights in ${flushed.tensors} tensors were set to zero`,
      hint: '--keep-subnormals leaves them; they can make a model many times slower',
    });
  }
  const broken = nonFiniteWeights(graph);
  if (broken.length > 0) {
    findings.push({
      level: 'warning',
      rule: 'non-finite-weights',
      message: `${broken.length} weight tensors hold NaN or infinity, e.g. "${broken[0]}"`,
      hint: 'the training diverged, or a cast overflowed: look at the checkpoint with ortho inspect --stats',
    });
  }
  if (dtype === 'float16') castToFloat16(graph);
  const model = new Model(graph);
  model.irVersion = irVersionFor(opset);
  model.opsets.set('', opset);
  model.producerName = 'ortho';
  model.producerVersion = VERSION;
  model.metadata.set('ortho.architecture', architecture.name);
  model.metadata.set('ortho.weights_sha256', weights);
  model.metadata.set('ortho.flushed_subnormals', String(flushed.elements));
  return { model, flushed: flushed.elements };
};

/**
 * Converts a checkpoint. A report that is not ok says why nothing was written (keys that do not match, parity).
 * @throws usage/*, file/*, checkpoint/*, convert/no-architecture, op/unsupported, dtype/unsupported, verify/*,
 *   runtime/*, output/unwritable
 */
export const convertCheckpoint = async (options: ConvertOptions): Promise<Report<'convert', ConvertData>> => {
  const { source, output, opset = DEFAULT_OPSET, io = silentIo(), force = false } = options;
  checkOpset(opset);
  checkProofOptions(options);
  checkOutput(output, { force, inputs: [source] });
  const wanted =
    options.architecture === undefined ? undefined : await loadArchitecture(options.architecture);
  // Started now, the process that will run the model is ready when the model is.
  const process =
    options.process ?? runtimes['onnxruntime-node'].start({ signal: io.signal, ...options.session });
  try {
    return await convertWith(process, options, wanted);
  } finally {
    await process.close();
  }
};

const convertWith = async (
  process: SessionProcess,
  options: ConvertOptions,
  wanted: Architecture | undefined,
): Promise<Report<'convert', ConvertData>> => {
  const { source, output, opset = DEFAULT_OPSET, io = silentIo(), externalData = false } = options;
  const { force = false, hash = false } = options;
  io.progress('read the checkpoint');
  const file = openWeights(source);
  try {
    const findings: Finding[] = [...file.findings];
    const dict = pickStateDict(file, source, options.stateDict);
    checkOutput(output, { force, inputs: dataFiles(dict.tensors.values()) });
    const keys = renameKeys(dict, options, findings);
    const { architecture, fault } = chooseArchitecture(wanted, keys, options);
    const shapes = resolveShapes(architecture, options.inputShapes ?? [], options.dynamic ?? []);
    io.progress(`build ${architecture.name}`);
    const network = buildNetwork(architecture, keys.tensors, { opset, shapes });
    const { match } = network;
    const data: ConvertData = {
      importer: 'architecture',
      architecture: architecture.name,
      matched: match.matched.length,
      missing: match.missing,
      unexpected: match.unexpected,
      mismatched: match.mismatched,
      unused: match.unused,
      opset,
      nodes: 0,
      parameters: 0,
      flushedSubnormals: 0,
      parity: null,
    };
    const readSubject = async (): Promise<Subject> => subjectOf(source, { hash });
    const faults = fault === undefined ? keyFaults(architecture, match, options) : [fault];
    findings.push(...faults);
    if (faults.length > 0) return createReport('convert', { subject: await readSubject(), data, findings });
    findings.push(...keyNotes(network));
    const { model, flushed } = finishModel(network, architecture, options, findings);
    const { graph } = model;
    const built = {
      ...data,
      nodes: graph.nodeCount,
      parameters: countParameters(graph),
      flushedSubnormals: flushed,
    };
    return await withScratchFile(output, async (candidate) => {
      await writeModel(candidate, model, { isTemporary: true });
      // The source is hashed while the other process loads the model.
      const proving = proveConverted(model, candidate, io, { ...options, process });
      const [proved, subject] = await Promise.all([proving, readSubject()]);
      findings.push(...(file.readFaults?.() ?? []));
      const parity = proved && { ...proved, candidate: output };
      findings.push(...(parity === null ? [NOT_PROVED] : parityFindings(parity)));
      const ok = parity === null || holds(parity);
      if (ok && externalData) await writeModelWithData(output, model, { force });
      else if (ok) await moveIntoPlace(candidate, output, { force });
      return createReport('convert', { subject, data: { ...built, parity }, findings, ok });
    });
  } finally {
    file.close();
  }
};
