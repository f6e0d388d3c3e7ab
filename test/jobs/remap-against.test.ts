/** What `remap --against` tells a person whose keys are not those of the target. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/core/report.ts';
import { type RemapJobOptions, remapFile } from '../../src/jobs/remap.ts';
import { tempFolder } from '../support/torch-files.ts';

const landmarks = fileURLToPath(new URL('../../models/raw/landmarks-gdconv.pth.tar', import.meta.url));

const against = async (target: string, more: Partial<RemapJobOptions> = {}) => {
  const report = await remapFile({ source: landmarks, against: target, dryRun: true, ...more });
  const of = (rule: string): Finding[] => report.findings.filter((finding) => finding.rule === rule);
  return { report, of, causes: of('likely-cause').map(({ message, hint }) => [message, hint]) };
};

describe('the checkpoint of another architecture', () => {
  it('is named first, then what is missing and unknown, by module', async () => {
    const { report, of, causes } = await against('mobilenet_v2', { stripPrefix: ['module.'] });
    expect(report.ok).toBe(false);
    expect(causes).toEqual([
      [
        'the file belongs to another architecture: gdconv explains 100 % of its keys, mobilenet_v2 0 %',
        '--against gdconv',
      ],
      ['with --strip-prefix pretrain_net. 314 keys match (324 unexpected)', '--strip-prefix pretrain_net.'],
    ]);
    expect(of('weights/missing-key')).toMatchObject([
      {
        level: 'error',
        message:
          '262 keys of mobilenet_v2 missing: features.* (260 keys), "classifier.1.weight", "classifier.1.bias"',
        hint: '--against gdconv',
      },
    ]);
    expect(of('weights/unexpected-key')[0]?.message).toContain('base_net.0.* (312 keys)');
    expect(report.data.against).toMatchObject({ matched: 0 });
    expect(report.data.against?.missing).toHaveLength(262);
    expect(report.data.against?.unexpected).toHaveLength(638);
  });
  it('also behind a prefix', async () => {
    const { causes } = await against('onet');
    expect(causes[0]).toEqual([
      'below "module." the file has another architecture: gdconv explains 100 % of its keys, onet 0 %',
      '--strip-prefix module. --against gdconv',
    ]);
  });
  it('a sister that differs in one shape', async () => {
    const { of, causes } = await against('gdconv56', { stripPrefix: ['module.'] });
    expect(causes[0]?.[1]).toBe('--against gdconv');
    expect(of('weights/shape-mismatch').map(({ message }) => message)).toEqual([
      'of another shape than in gdconv56: "linear7.conv.weight" is [1280, 1, 7, 7], expected [1280, 1, 2, 2]',
    ]);
  });
});

it('the prefix that is in the way', async () => {
  const { of, causes } = await against('gdconv');
  expect(causes).toEqual([['with --strip-prefix module. all 638 keys match', '--strip-prefix module.']]);
  expect(of('weights/nothing-matched')).toMatchObject([{ hint: '--strip-prefix module.' }]);
});

it('a single key that is missing, with the nearest one', async () => {
  const output = join(tempFolder(), 'out.pth');
  const { of, causes } = await against('gdconv', {
    stripPrefix: ['module.'],
    rename: [{ from: 'linear7.bn.weight', to: 'linear7.norm.weight' }],
    dryRun: false,
    output,
  });
  expect(causes.map(([, hint]) => hint)).toEqual(['--rename linear7.norm.=linear7.bn.']);
  expect(of('weights/missing-key')[0]?.message).toBe(
    '1 key of gdconv missing: "linear7.bn.weight" (nearest: "linear7.norm.weight")',
  );
  expect(existsSync(output)).toBe(false);
});

it('--auto finds the names that the target wants', async () => {
  const output = join(tempFolder(), 'out.safetensors');
  const { report } = await against('gdconv', { auto: true, dryRun: false, output });
  expect(report.data.auto).toMatchObject({ ambiguous: [], unmatchedTarget: [] });
  // The architecture knows that there is a classifier, not what it is like: its keys move along with their module.
  expect(report.data.auto?.unmatchedSource).toEqual([
    'module.pretrain_net.classifier.1.weight',
    'module.pretrain_net.classifier.1.bias',
  ]);
  expect(report.data.against).toMatchObject({ matched: 638, missing: [], unexpected: [] });
  expect(existsSync(output)).toBe(true);
});
