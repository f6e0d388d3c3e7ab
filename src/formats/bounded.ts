/**
 * Findings and errors about untrusted files, bounded: a hostile file can have a hundred thousand faults of one kind, and
 * names of many megabytes, and a report is to be read.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { WeightFile } from './state-dict.ts';

/** Findings of one rule. */
const MAX_FINDINGS = 50;
/** Letters of a message, of which the end often says most; letters of a key that a finding points at. */
const MAX_MESSAGE = 1000;
const MAX_TAIL = 300;
const MAX_KEY = 500;

const shortened = (message: string): string =>
  message.length <= MAX_MESSAGE
    ? message
    : `${message.slice(0, MAX_MESSAGE - MAX_TAIL)}…${message.slice(-MAX_TAIL)}`;

const boundedAt = <T extends { readonly key?: string }>(at: T): T =>
  at.key !== undefined && at.key.length > MAX_KEY ? { ...at, key: `${at.key.slice(0, MAX_KEY)}…` } : at;

const boundedFinding = (finding: Finding): Finding => ({
  ...finding,
  message: shortened(finding.message),
  ...(finding.hint !== undefined && { hint: shortened(finding.hint) }),
  ...(finding.at !== undefined && { at: boundedAt(finding.at) }),
});

/** At most MAX_FINDINGS findings of each rule and level; the next one counts the rest. */
export const boundedFindings = (findings: readonly Finding[]): Finding[] => {
  const counts = new Map<string, number>();
  const kept: Finding[] = [];
  const kindOf = ({ level, rule }: Finding): string => `${level} ${rule}`;
  for (const finding of findings) {
    const count = (counts.get(kindOf(finding)) ?? 0) + 1;
    counts.set(kindOf(finding), count);
    if (count <= MAX_FINDINGS) kept.push(boundedFinding(finding));
  }
  const firsts = new Map(kept.map((finding) => [kindOf(finding), finding]));
  for (const [kind, count] of counts) {
    const { level, rule, at } = firsts.get(kind)!;
    if (count <= MAX_FINDINGS) continue;
    const file = at?.file === undefined ? {} : { at: { file: at.file } };
    kept.push({ level, rule, message: `${count - MAX_FINDINGS} more findings of this kind`, ...file });
  }
  return kept;
};

/** What `open` gives, with all its findings bounded. @throws what it throws, with a bounded message */
export const bounded = (open: () => WeightFile): WeightFile => {
  let file: WeightFile;
  try {
    file = open();
  } catch (error) {
    if (!(error instanceof OrthoError) || error.message.length <= MAX_MESSAGE) throw error;
    const { code, hint, at, cause } = error;
    throw new OrthoError(code, shortened(error.message), {
      ...(hint !== undefined && { hint }),
      ...(at !== undefined && { at: boundedAt(at) }),
      cause,
    });
  }
  const { checkIntegrity, readFaults } = file;
  return {
    ...file,
    findings: boundedFindings(file.findings),
    ...(checkIntegrity && { checkIntegrity: () => boundedFindings(checkIntegrity()) }),
    ...(readFaults && { readFaults: () => boundedFindings(readFaults()) }),
  };
};
