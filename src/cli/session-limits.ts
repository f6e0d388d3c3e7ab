/** The common options that every run of a model obeys, as the runtime takes them. */
import type { ProcessLimits, SessionOptions } from '../runtime/session.ts';

export const sessionLimits = (values: {
  readonly threads: number | undefined;
  /** Seconds. */
  readonly timeout: number;
  /** MiB. */
  readonly memory: number | undefined;
}): Pick<SessionOptions, 'threads'> & ProcessLimits => ({
  timeoutMs: values.timeout * 1000,
  ...(values.threads === undefined ? {} : { threads: values.threads }),
  ...(values.memory === undefined ? {} : { memoryMb: values.memory }),
});
