import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/report.ts';
import { bounded, boundedFindings } from '../../src/formats/bounded.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';

const finding = (rule: string, message: string, key?: string): Finding => ({
  level: 'warning',
  rule,
  message,
  at: { file: 'f', ...(key !== undefined && { key }) },
});

describe('findings', () => {
  it('of one rule are counted beyond the fiftieth, the others kept', () => {
    const many = Array.from({ length: 70 }, (_, i) => finding('many', `m${i}`));
    const found = boundedFindings([...many, finding('few', 'one')]);
    expect(found).toHaveLength(52);
    expect(found.slice(49, 51).map(({ message }) => message)).toEqual(['m49', 'one']);
    expect(found.at(-1)).toEqual(finding('many', '20 more findings of this kind'));
  });
  it('have short messages and keys, which show how they end', () => {
    const [found] = boundedFindings([finding('long', `${'a'.repeat(1e6)} the end`, 'k'.repeat(1e6))]);
    expect(found?.message).toHaveLength(1001);
    expect(found?.message).toMatch(/^a{700}….* the end$/);
    expect(found?.at?.key).toHaveLength(501);
  });
  it('that are short stay as they are', () => {
    const short = finding('r', 'm', 'k');
    expect(boundedFindings([short])).toEqual([short]);
  });
});

describe('a file', () => {
  const file: WeightFile = {
    format: 'npz',
    stateDicts: [],
    globals: [],
    metadata: new Map(),
    findings: [finding('r', 'm'.repeat(5000))],
    checkIntegrity: () => Array.from({ length: 200 }, () => finding('sum', 'm')),
    close: () => {},
  };
  it('has bounded findings, those of later checks too', () => {
    const open = bounded(() => file);
    expect(open.findings[0]?.message).toHaveLength(1001);
    expect(open.checkIntegrity?.()).toHaveLength(51);
    expect(open.readFaults).toBeUndefined();
  });
  it('that cannot be opened says so at a bounded length', () => {
    const failing = (message: string) => () =>
      bounded(() => {
        throw new OrthoError('file/limit', message, { hint: 'h', at: { key: 'k'.repeat(1e5) } });
      });
    expect(failing('short')).toThrow(/^short$/);
    try {
      failing('x'.repeat(1e6))();
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'file/limit', hint: 'h' });
      expect((error as OrthoError).message).toHaveLength(1001);
      expect((error as OrthoError).at.key).toHaveLength(501);
    }
  });
});
