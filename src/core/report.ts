/**
 * The report envelope, the same for every command, and the shape of each command's data.
 * Programs rely on the names here: more may be added, none renamed.
 */
import type { Place } from './errors.ts';
import { VERSION } from './version.ts';

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

/** Puts `data` into the envelope of `<kind>@1`. `ok` defaults to "no finding is an error". */
export const createReport = <K extends string, D>(
  kind: K,
  parts: {
    readonly subject: Subject;
    readonly data: D;
    readonly findings?: readonly Finding[];
    readonly ok?: boolean;
  },
): Report<K, D> => {
  const { subject, data, findings = [] } = parts;
  const ok = parts.ok ?? !findings.some(({ level }) => level === 'error');
  return { schema: `${kind}@1`, tool: 'ortho', version: VERSION, ok, subject, findings, data };
};
