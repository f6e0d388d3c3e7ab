/**
 * The report envelope, the same for every command, and the shape of each command's data.
 * Programs rely on the names here: more may be added, none renamed.
 */
import type { Place } from './errors.ts';

export interface Finding {
  readonly level: 'error' | 'warning' | 'note';
  /** A stable, kebab-case name of what was found, e.g. `subnormal-weights`. */
  readonly rule: string;
  readonly message: string;
  readonly hint?: string;
  readonly at?: Place;
}

export interface Subject {
  readonly file: string;
  /** Hex digest; null where hashing would mean reading a big file. */
  readonly sha256: string | null;
  readonly bytes: number;
}

export interface Report<K extends string = string, D = unknown> {
  readonly schema: `${K}@${number}`;
  readonly tool: 'ortho';
  readonly version: string;
  readonly ok: boolean;
  readonly subject: Subject;
  readonly findings: readonly Finding[];
  readonly data: D;
}
