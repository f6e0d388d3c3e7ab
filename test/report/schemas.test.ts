import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { baselineFile } from '../../src/jobs/baseline-file.ts';
import { remapMapping } from '../../src/jobs/mapping-file.ts';
import { runConfig } from '../../src/jobs/run-config.ts';
import { tunedOptions } from '../../src/jobs/tuned-options.ts';
import { envelope, error } from '../../src/report/schemas/envelope.ts';
import { reportSchemas } from '../../src/report/schemas/index.ts';
import { expectGolden, repository } from '../support/golden.ts';
import { samples } from './samples.ts';

/** Reports may have more fields than the schema names, so objects stay open (`io: 'input'`). */
const published = (schema: z.ZodType): string =>
  `${JSON.stringify(z.toJSONSchema(schema, { io: 'input' }), undefined, 2)}\n`;

const kinds = Object.keys(reportSchemas) as (keyof typeof reportSchemas)[];

describe('JSON Schemas', () => {
  test.each(kinds)('%s', (kind) => {
    expectGolden(`schemas/${kind}.schema.json`, published(envelope(kind, reportSchemas[kind])));
  });
  test('error', () => expectGolden('schemas/error.schema.json', published(error)));
  test('the job file of run', () => expectGolden('schemas/run-config.schema.json', published(runConfig)));
  test('the mapping file of remap', () =>
    expectGolden('schemas/remap-mapping.schema.json', published(remapMapping)));
  test('the options file of tune', () =>
    expectGolden('schemas/session-options.schema.json', published(tunedOptions)));
  test('the stored baseline of bench', () =>
    expectGolden('schemas/bench-baseline.schema.json', published(baselineFile)));
  test('no other files', () => {
    expect(readdirSync(`${repository}schemas`).sort()).toEqual(
      [...kinds, 'bench-baseline', 'error', 'remap-mapping', 'run-config', 'session-options']
        .map((kind) => `${kind}.schema.json`)
        .sort(),
    );
  });
});

test.each(Object.entries(samples).filter(([name]) => name !== 'another-kind'))(
  'the sample %s fits its schema',
  (_name, report) => {
    const kind = report.schema.split('@')[0] as keyof typeof reportSchemas;
    expect(envelope(kind, reportSchemas[kind]).safeParse(report).error).toBeUndefined();
  },
);

test('every kind of report has a sample', () => {
  const shown = new Set(Object.values(samples).map(({ schema }) => schema.split('@')[0]));
  expect(kinds.filter((kind) => !shown.has(kind))).toEqual([]);
});

test('a schema refuses what does not fit', () => {
  const broken = { ...samples.bench!, data: { ...(samples.bench!.data as object), models: 3 } };
  expect(envelope('bench', reportSchemas.bench).safeParse(broken).success).toBe(false);
});
