/**
 * Session options of ortho as ONNX Runtime's own, and the list of configuration entries it may be given.
 *
 * The runtime accepts misspelt entries and most bad values in silence, so both are checked here. Left out on purpose:
 * `session.use_ort_model_bytes_*` (reads freed memory), `session.qdqisint8allowed` (5 to 9 times slower on x64),
 * and the entries that have an option of their own.
 */
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { LEVELS, type SessionOptions, SPINNING } from './session.ts';

const SWITCH = /^[01]$/;
const COUNT = /^\d{1,9}$/;
const TEXT = /^[^\0]{0,1024}$/;

/** Entries that `SessionOptions.extra` may hold, with the form of their values. */
export const EXTRA_KEYS = {
  'mlas.disable_kleidiai': SWITCH,
  'mlas.use_lut_gemm': SWITCH,
  'optimization.enable_cast_chain_elimination': SWITCH,
  'optimization.enable_gelu_approximation': SWITCH,
  'optimization.minimal_build_optimizations': /^(save|apply)?$/,
  'session.allow_released_opsets_only': SWITCH,
  'session.collect_node_memory_stats_to_file': TEXT,
  'session.debug_layout_transformation': SWITCH,
  'session.disable_aot_function_inlining': SWITCH,
  'session.disable_double_qdq_remover': SWITCH,
  'session.disable_qdq_constant_folding': SWITCH,
  'session.disable_quant_qdq': SWITCH,
  'session.dynamic_block_base': COUNT,
  'session.enable_dq_matmulnbits_fusion': SWITCH,
  'session.enable_quant_qdq_cleanup': SWITCH,
  'session.intra_op.spin_duration_us': COUNT,
  'session.intra_op_thread_affinities': TEXT,
  'session.load_model_format': /^(ORT|ONNX)$/,
  'session.model_external_initializers_file_folder_path': TEXT,
  'session.optimized_model_external_initializers_file_name': TEXT,
  'session.optimized_model_external_initializers_min_size_in_bytes': COUNT,
  'session.qdq_matmulnbits_accuracy_level': /^[0-4]$/,
  'session.qdq_matmulnbits_block_size': COUNT,
  'session.save_model_format': /^(ORT|ONNX)$/,
  'session.set_denormal_as_zero': SWITCH,
  'session.strict_shape_type_inference': SWITCH,
  'session.use_memory_mapped_ort_model': SWITCH,
} as const satisfies Record<string, RegExp>;

/** What `InferenceSession.create` of onnxruntime-node takes, as far as ortho uses it. */
export interface OrtOptions {
  readonly graphOptimizationLevel: (typeof LEVELS)[number];
  readonly executionMode: 'parallel' | 'sequential';
  readonly intraOpNumThreads?: number;
  readonly interOpNumThreads?: number;
  readonly enableCpuMemArena?: boolean;
  readonly enableMemPattern?: boolean;
  readonly optimizedModelFilePath?: string;
  readonly enableProfiling?: boolean;
  readonly profileFilePrefix?: string;
  readonly extra: Record<string, string>;
}

const refuse = (message: string, hint?: string): never => {
  throw new OrthoError('usage/option', message, hint === undefined ? {} : { hint });
};

const checkExtra = (extra: Readonly<Record<string, string>>): void => {
  const known = new Map<string, RegExp>(Object.entries(EXTRA_KEYS));
  for (const [key, value] of Object.entries(extra)) {
    const form = known.get(key);
    if (form === undefined) {
      const near = nearestNames(key, known.keys(), 1)[0];
      refuse(
        `unknown session configuration entry "${key}"`,
        near === undefined ? undefined : `did you mean "${near}"?`,
      );
    } else if (typeof value !== 'string' || !form.test(value)) {
      refuse(`session configuration entry "${key}" cannot be ${JSON.stringify(value)}`, `expected ${form}`);
    }
  }
};

/** What the runtime is to write beside running a model. */
export interface OrtFiles {
  /** What it made of the model. */
  readonly optimized?: string;
  /** The profile, which gets this prefix, the time and `.json` as its name when profiling ends. */
  readonly profilePrefix?: string;
}

/**
 * Options for `InferenceSession.create`.
 * @throws OrthoError usage/option for unknown entries, values that no runtime takes and optimizer names with `;`.
 */
export const toOrtOptions = (options: SessionOptions, files: OrtFiles = {}): OrtOptions => {
  const { level = 'all', threads, spinning = 'default', disabledOptimizers = [], extra = {} } = options;
  if (!LEVELS.includes(level)) refuse(`unknown optimisation level "${level}"`, `one of ${LEVELS.join(', ')}`);
  if (!SPINNING.includes(spinning)) {
    refuse(`unknown spinning mode "${spinning}"`, `one of ${SPINNING.join(', ')}`);
  }
  for (const count of [threads, options.interOpThreads]) {
    if (count !== undefined && !(Number.isInteger(count) && count >= 1 && count <= 1024)) {
      refuse(`${count} threads asked for`, 'a whole number from 1 to 1024');
    }
  }
  const badName = disabledOptimizers.find((name) => !/^\w+$/.test(name));
  if (badName !== undefined) refuse(`"${badName}" is not the name of an optimizer of ONNX Runtime`);
  checkExtra(extra);
  const entries: Record<string, string> = { ...extra };
  if (spinning === 'off') entries['session.intra_op.allow_spinning'] = '0';
  if (spinning === 'stop') entries['session.force_spinning_stop'] = '1';
  if (options.prepacking === false) entries['session.disable_prepacking'] = '1';
  if (options.deterministic === true) entries['session.use_deterministic_compute'] = '1';
  if (disabledOptimizers.length > 0) {
    entries['optimization.disable_specified_optimizers'] = disabledOptimizers.join(';');
  }
  return {
    graphOptimizationLevel: level,
    executionMode: options.parallel === true ? 'parallel' : 'sequential',
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(options.interOpThreads === undefined ? {} : { interOpNumThreads: options.interOpThreads }),
    ...(options.arena === undefined ? {} : { enableCpuMemArena: options.arena }),
    ...(options.memPattern === undefined ? {} : { enableMemPattern: options.memPattern }),
    ...(files.optimized === undefined ? {} : { optimizedModelFilePath: files.optimized }),
    ...(files.profilePrefix === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: files.profilePrefix }),
    extra: entries,
  };
};
