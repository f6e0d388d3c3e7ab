/**
 * The whole checker: wire form, then structure, then operators. A model that cannot be decoded has one finding, all
 * others have every fault at once.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { type ByteSource, FileSource } from '../core/source.ts';
import { checkStructure } from '../ir/check.ts';
import { modelFromProto } from '../ir/from-proto.ts';
import type { Model } from '../ir/model.ts';
import { checkOperators, type OperatorCheck } from '../ops/check.ts';
import { decodeModel } from '../proto/decode.ts';
import type { ModelProto } from '../proto/schema.ts';

const RANK = { error: 0, warning: 1, note: 2 } as const;

/** An error that ended the work, as a finding. Its code is the rule. */
const findingOf = (error: OrthoError): Finding => {
  const { code, message, hint, at } = error;
  return { level: 'error', rule: code, message, ...(hint === undefined ? {} : { hint }), at };
};

export interface CheckedProto extends Omit<OperatorCheck, 'findings'> {
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** The graph, where the structure allows one. Close it. */
  readonly model: Model | undefined;
}

/**
 * Checks a decoded model.
 * @param path its file, beside which external data is looked for
 * @param censusLimit weights beyond this many bytes are not read
 */
export const checkProto = (
  proto: ModelProto,
  { path, censusLimit }: { readonly path?: string | undefined; readonly censusLimit?: number } = {},
): CheckedProto => {
  const structure = checkStructure(proto, { path });
  const isSound = !structure.some(({ level }) => level === 'error');
  let model: Model | undefined;
  const more: Finding[] = [];
  try {
    // What is beyond a limit is not built.
    const isBounded = !structure.some(({ rule }) => rule === 'limit');
    if (isBounded) model = modelFromProto(proto, path === undefined ? {} : { path });
  } catch (error) {
    if (!(error instanceof OrthoError) || error.code === 'internal/bug') throw error;
    // The structural rules have told why already, in their own words.
    if (isSound) more.push(findingOf(error));
  }
  const operators = checkOperators(proto, model, censusLimit === undefined ? {} : { censusLimit });
  const findings = [...structure, ...more, ...operators.findings];
  return { ...operators, findings: findings.sort((a, b) => RANK[a.level] - RANK[b.level]), model };
};

/** Checks the model in a source; what cannot be decoded is a finding. */
export const checkModelSource = (source: ByteSource, path?: string): readonly Finding[] => {
  let proto: ModelProto;
  try {
    proto = decodeModel(source);
  } catch (error) {
    if (error instanceof OrthoError && error.code !== 'internal/bug') return [findingOf(error)];
    throw error;
  }
  const { findings, model } = checkProto(proto, { path });
  model?.close();
  return findings;
};

/**
 * Checks the model in a file.
 * @throws OrthoError file/not-found when there is no such file
 */
export const checkModelFile = (path: string): readonly Finding[] => {
  const source = new FileSource(path);
  try {
    return checkModelSource(source, path);
  } finally {
    source.close();
  }
};
