/** One kind of hostile or odd checkpoint: how to make it, and what is to happen to it. */
import type { ErrorCode } from '../../src/core/errors.ts';

export interface HostileKind {
  readonly name: string;
  /** The error that refuses it, or `harmless`: odd, but plain data, and read rightly. */
  readonly verdict: ErrorCode | 'harmless';
  readonly reason: string;
  make(): Uint8Array;
}

/** A kind by its fields in a row. */
export const kind = (
  name: string,
  verdict: HostileKind['verdict'],
  reason: string,
  make: () => Uint8Array,
): HostileKind => ({ name, verdict, reason, make });
