/**
 * The library. Each command is a function that returns its report; below them are the types they speak and the parts
 * that other programs build on: models and graphs, weight files, tensors, passes, architectures.
 */

export type { Architecture } from './convert/architecture.ts';
export { architectures } from './convert/architectures/index.ts';
export type { Rule } from './convert/mapping/rule.ts';
export { presets } from './convert/presets/index.ts';
export type { Preset } from './convert/presets/preset.ts';
export type { DType } from './core/dtype.ts';
export { ERROR_CODES, type ErrorCode, EXIT, type ExitCode, OrthoError, type Place } from './core/errors.ts';
export { type JobIo, silentIo } from './core/job-io.ts';
export type { Finding, Report, Subject } from './core/report.ts';
export { type ByteSource, BytesSource, FileSource } from './core/source.ts';
export {
  float32Tensor,
  int64Tensor,
  type Tensor,
  tensorArray,
  tensorBytes,
  tensorOf,
  toFloat32,
} from './core/tensor.ts';
export { VERSION } from './core/version.ts';
export { openWeights } from './formats/index.ts';
export type { StateDict, WeightFile, WeightTensor } from './formats/state-dict.ts';
export { checkModelFile } from './inspect/check.ts';
export type { Attribute } from './ir/attribute.ts';
export { Graph } from './ir/graph.ts';
export { loadModel, openModel } from './ir/load.ts';
export { Model } from './ir/model.ts';
export { Node } from './ir/node.ts';
export type { Dim, Shape, ValueType } from './ir/type.ts';
export { Value } from './ir/value.ts';
export { benchModels } from './jobs/bench.ts';
export type { BenchModel, BenchOptions } from './jobs/bench-options.ts';
export { type ConvertOptions, convertCheckpoint } from './jobs/convert.ts';
export { type DiffOptions, diffFiles } from './jobs/diff.ts';
export { type DoctorOptions, examineModels } from './jobs/doctor.ts';
export { type InspectOptions, inspectFile } from './jobs/inspect.ts';
export { readMapping } from './jobs/mapping-file.ts';
export { writeModel } from './jobs/model-file.ts';
export { type OptimizeOptions, optimizeModel } from './jobs/optimize.ts';
export { type OutputOptions, type Sink, type WrittenFile, writeAtomically } from './jobs/output.ts';
export { type QuantizeOptions, quantizeModel } from './jobs/quantize.ts';
export { type RemapJobOptions, remapFile } from './jobs/remap.ts';
export { type RunOptions, runJobs } from './jobs/run.ts';
export { type TuneJobOptions, tuneModels } from './jobs/tune.ts';
export type { TunedModel, TunedOptions } from './jobs/tuned-options.ts';
export { createTunedSession, type TunedSession, type TunedSessionOptions } from './jobs/tuned-session.ts';
export { type VerifyOptions, verifyModel } from './jobs/verify.ts';
export { passes } from './passes/index.ts';
export { type Pass, type PassContext, rewrite } from './passes/pass.ts';
export { renderers } from './report/index.ts';
export type { Renderer, RenderOptions } from './report/renderer.ts';
export type { BenchData } from './report/schemas/bench.ts';
export type { ConvertData } from './report/schemas/convert.ts';
export type { DiffData } from './report/schemas/diff.ts';
export type { DoctorData } from './report/schemas/doctor.ts';
export type { ErrorReport } from './report/schemas/envelope.ts';
export type { InspectData, InspectOnnxData, InspectWeightsData } from './report/schemas/inspect.ts';
export type { OptimizeData } from './report/schemas/optimize.ts';
export type { QuantizeData } from './report/schemas/quantize.ts';
export type { RemapData } from './report/schemas/remap.ts';
export type { RunData } from './report/schemas/run.ts';
export type { TuneData } from './report/schemas/tune.ts';
export type { ParityData, VerifyData } from './report/schemas/verify.ts';
export type { Metric } from './verify/metric.ts';
export { metrics } from './verify/metrics/index.ts';
