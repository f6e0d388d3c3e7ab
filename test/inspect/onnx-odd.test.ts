/**
 * The odd and invalid models: each gets the verdict that its table of contents lists, for the reason it lists, and what
 * is huge only in a header or a count stays quick.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/core/report.ts';
import { BytesSource } from '../../src/core/source.ts';
import { checkModelFile, checkModelSource } from '../../src/inspect/check.ts';
import { delimited, integer } from '../support/wire.ts';

interface Case {
  readonly file: string;
  readonly expected: Verdict;
  readonly tolerated?: readonly Verdict[];
  readonly wrong: string;
}
type Verdict = 'accept' | 'warn' | 'refuse';

const folderOf = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}/`, import.meta.url));
const casesOf = <T extends Case>(name: string): T[] =>
  JSON.parse(readFileSync(join(folderOf(name), 'cases.json'), 'utf8')) as T[];

const lineOf = ({ level, rule, message }: Finding): string => `${level} ${rule}: ${message}`;
const verdictOf = (findings: readonly Finding[]): Verdict =>
  findings.some(({ level }) => level === 'error')
    ? 'refuse'
    : findings.some(({ level }) => level === 'warning')
      ? 'warn'
      : 'accept';

describe('invalid models', () => {
  const cases = casesOf<Case & { readonly verdict: Verdict; readonly findings: readonly string[] }>(
    'onnx-invalid',
  );

  it('are all there', () => expect(cases.length).toBeGreaterThan(90));

  it.each(cases.map((one) => [one.file, one] as const))(
    '%s',
    (file, { expected, tolerated = [], ...found }) => {
      const findings = checkModelFile(join(folderOf('onnx-invalid'), file));
      expect([expected, ...tolerated]).toContain(found.verdict);
      expect(verdictOf(findings)).toBe(found.verdict);
      expect(findings.map(lineOf)).toEqual(found.findings);
    },
  );
});

describe('odd models', () => {
  const cases = casesOf('onnx-odd');

  it.each(cases.map((one) => [one.file, one] as const))('%s', (file, { expected, tolerated = [] }) => {
    const findings = checkModelFile(join(folderOf('onnx-odd'), file));
    // A warning leaves the exit code at 0: it accepts.
    const verdicts = expected === 'accept' ? [expected, 'warn'] : [expected];
    expect([...verdicts, ...tolerated]).toContain(verdictOf(findings));
  });
});

describe('models that are only large in number', () => {
  const modelWith = (graph: readonly number[]): BytesSource =>
    new BytesSource(
      Uint8Array.from([...integer(1, 8), ...delimited(7, graph), ...delimited(8, integer(2, 17))]),
    );
  /** A field that occurs `count` times with the same content, without a spread of a million numbers. */
  const repeated = (head: readonly number[], unit: readonly number[], count: number): BytesSource => {
    const body = new Uint8Array(head.length + unit.length * count);
    body.set(head);
    for (let i = 0; i < count; i++) body.set(unit, head.length + i * unit.length);
    const length = delimited(7, [...new Uint8Array(3)]).slice(0, 1);
    const size: number[] = [];
    for (let rest = body.length; rest > 0; rest >>= 7) size.push((rest & 127) | (rest > 127 ? 128 : 0));
    const frame = [...integer(1, 8), ...delimited(8, integer(2, 17)), ...length, ...size];
    const bytes = new Uint8Array(frame.length + body.length);
    bytes.set(frame);
    bytes.set(body, frame.length);
    return new BytesSource(bytes);
  };

  it('tells of 200,000 empty nodes once', () => {
    const findings = checkModelSource(repeated(delimited(2, 'g'), delimited(1, []), 200_000));
    expect(findings[0]?.message).toBe('graph.node[0] has no op_type (and 199,999 more)');
    expect(findings.length).toBeLessThan(30);
  });

  it('tells of 200,000 inputs without a name once', () => {
    const findings = checkModelSource(repeated(delimited(2, 'g'), delimited(11, []), 200_000));
    expect(findings[0]?.message).toBe('graph.input[0] has no name (and 199,999 more)');
  });

  it('tells of 200,000 empty inputs of one node once', () => {
    const node = new Array<number[]>(200_000).fill(delimited(1, '')).flat();
    const findings = checkModelSource(
      modelWith([
        ...delimited(1, [...node, ...delimited(2, 'Y'), ...delimited(4, 'Sum')]),
        ...delimited(2, 'g'),
      ]),
    );
    expect(findings[0]?.message).toBe(
      'graph.node[0] Sum has 200000 empty inputs; empty is allowed for optional inputs only',
    );
  });

  it('refuses types and subgraphs that nest without end', () => {
    let type = delimited(1, integer(1, 1));
    for (let depth = 0; depth < 200; depth++) type = delimited(9, delimited(1, type));
    const input = delimited(11, [...delimited(1, 'X'), ...delimited(2, type)]);
    expect(checkModelSource(modelWith(input)).map(({ message }) => message)).toEqual([
      "graph.input['X'].type nests deeper than 100 levels (limit)",
    ]);
    let graph = delimited(2, 'g');
    for (let depth = 0; depth < 200; depth++) {
      const branch = [...delimited(1, 'then_branch'), ...delimited(6, graph), ...integer(20, 5)];
      graph = delimited(1, [...delimited(4, 'If'), ...delimited(5, branch)]);
    }
    expect(checkModelSource(modelWith(graph)).map(({ message }) => message)).toEqual([
      expect.stringMatching(/subgraphs nest deeper than 100 levels \(limit\)$/),
    ]);
  });

  it('does not multiply out what constants lead to', () => {
    const vector = (name: string, dims: readonly number[]): number[] =>
      delimited(5, [
        ...dims.flatMap((dim) => integer(1, dim)),
        ...integer(2, 2),
        ...delimited(8, name),
        ...delimited(9, new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(1)),
      ]);
    const node = delimited(1, [
      ...delimited(1, 'a'),
      ...delimited(1, 'b'),
      ...delimited(2, 'Y'),
      ...delimited(4, 'MatMulInteger'),
    ]);
    const findings = checkModelSource(
      modelWith([
        ...node,
        ...delimited(2, 'g'),
        ...vector('a', [40_000, 1]),
        ...vector('b', [1, 40_000]),
        ...delimited(12, [...delimited(1, 'Y'), ...delimited(2, delimited(1, integer(1, 6)))]),
      ]),
    );
    expect(findings.map(lineOf)).toEqual([
      'warning constant-too-large: graph.node[0] MatMulInteger: constant result is too large to fold (6400000000 bytes, the limit is 67108864)',
    ]);
  });
});
