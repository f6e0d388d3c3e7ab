/** inspect as a job and as a command: what it reports, and with which exit code it ends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { inspectFile, inspectText } from '../../src/jobs/inspect.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments } from '../../src/proto/segments.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { inspect as inspectSchema } from '../../src/report/schemas/inspect.ts';
import { ortho } from '../support/cli.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ortho-inspect-'));
afterAll(() => rmSync(folder, { recursive: true }));

const written = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, joinSegments(encodeModel(parseModelText(text))));
  return path;
};

const sample = written(
  'sample.onnx',
  `<ir_version: 8, opset_import: ["": 17, "d": 1], producer_name: "maker", producer_version: "2", metadata_props: ["k": "v"]>
  main (float[1,3,8,8] x, bool c, float[n] s) => (float[1,4,8,8] y, float[n] t)
    <float[4,3,1,1] w = {1,2,3,4,5,6,7,8,9,10,11,1e-42}, float[2] bad = {nan, inf}>
  {
    h = Conv (x, w)
    y = If (c) <then_branch = a () => (float[1,4,8,8] p) { p = Relu (h) }, else_branch = b () => (float[1,4,8,8] q) { q = d.F (h) }>
    t = Relu (s)
    unused = Identity (bad)
  }
  <domain: "d", opset_import: ["": 17]> F (i) => (o) { m = Neg (i) o = Relu (m) }`,
);

describe('inspectFile', () => {
  it('tells what is in a model, subgraphs and functions included', async () => {
    const { data, subject, schema, findings } = await inspectFile(sample);
    expect(inspectSchema.parse(data)).toBeDefined();
    expect(schema).toBe('inspect@1');
    expect(subject.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(data).toEqual({
      format: 'onnx',
      irVersion: 8,
      opsets: { '': 17, d: 1 },
      producer: 'maker 2',
      inputs: [
        { name: 'x', dtype: 'float32', shape: [1, 3, 8, 8] },
        { name: 'c', dtype: 'bool', shape: [] },
        { name: 's', dtype: 'float32', shape: ['n'] },
      ],
      outputs: [
        { name: 'y', dtype: 'float32', shape: [1, 4, 8, 8] },
        { name: 't', dtype: 'float32', shape: ['n'] },
      ],
      nodes: 8,
      ops: { Relu: 3, Conv: 1, Identity: 1, If: 1, Neg: 1, 'd.F': 1 },
      initializers: 2,
      parameters: 14,
      parameterBytes: 56,
      macs: 768,
      subnormals: { tensors: 1, elements: 1 },
      nonFinite: { tensors: 1, elements: 2 },
      externalData: [],
      functions: ['d.F'],
      metadata: { k: 'v' },
    });
    expect(findings.map(({ rule }) => rule)).toEqual(['subnormal-weights', 'non-finite-weights']);
  });

  it('shows a model with faults as far as it can be read', async () => {
    const report = await inspectFile(fixture('onnx-invalid/invalid-cycle.onnx'));
    expect(report.ok).toBe(false);
    expect(report.findings.map(({ message }) => message)).toEqual(['cycle: a -> b -> a']);
    expect(report.data).toMatchObject({ nodes: 3, macs: null, subnormals: null });
  });

  it('says the same of a plain model with and without the checker', async () => {
    const path = fixture('onnx/tiny.default.onnx');
    const [quick, full] = [await inspectFile(path), await inspectFile(path, { check: true })];
    expect(quick).toEqual(full);
    expect(quick.data).toMatchObject({ nodes: 31, initializers: 19, macs: expect.any(Number) });
  });

  it('names external files and their share', async () => {
    const { data } = await inspectFile(fixture('onnx-odd/odd-ext-shared-file.onnx'));
    expect(data).toMatchObject({ externalData: [{ location: 'ext-shared.data', tensors: 2, bytes: 48 }] });
  });

  it('keeps hostile names as they are', async () => {
    const { data } = await inspectFile(fixture('onnx-invalid/invalid-name-newline-bidi.onnx'));
    expect(data).toMatchObject({ inputs: [{ name: 'X\n\u202egnp.exe\u200b' }] });
    const proto = await inspectFile(fixture('onnx-invalid/invalid-name-proto-metadata.onnx'));
    expect(Object.keys((proto.data as { metadata?: object }).metadata ?? {})).toContain('__proto__');
  });

  it('goes by content', async () => {
    const { data, findings } = await inspectFile(fixture('onnx-odd/wire-safetensors.onnx'));
    expect(data.format).toBe('safetensors');
    expect(findings[0]?.rule).toBe('misleading-name');
    await expect(inspectFile(fixture('onnx-odd/wire-safetensors.onnx'), { check: true })).rejects.toThrow(
      'this is a safetensors file, not an ONNX model',
    );
    const page = join(folder, 'model.pth');
    writeFileSync(page, '<!doctype html><html></html>');
    await expect(inspectFile(page)).rejects.toMatchObject({ code: 'file/unknown-format' });
  });

  it('refuses what is not there', async () => {
    await expect(inspectFile(join(folder, 'gone.onnx'))).rejects.toMatchObject({ code: 'file/not-found' });
    await expect(inspectFile(folder)).rejects.toMatchObject({ code: 'file/unknown-format' });
  });
});

it('prints a model as text that says the same', async () => {
  const text = await inspectText(sample);
  const again = written('again.onnx', text);
  expect((await inspectFile(again)).data).toEqual((await inspectFile(sample)).data);
  await expect(inspectText(fixture('onnx-odd/wire-safetensors.onnx'))).rejects.toMatchObject({
    code: 'usage/conflict',
  });
});

describe('ortho inspect', () => {
  it.each([
    ['a sound model', ['inspect', '--check', sample], 0],
    ['a warning', ['inspect', '--check', fixture('onnx-invalid/invalid-metadata-dup.onnx')], 0],
    ['an error', ['inspect', '--check', fixture('onnx-invalid/invalid-cycle.onnx')], 3],
    ['an error, without --check', ['inspect', fixture('onnx-invalid/invalid-cycle.onnx')], 0],
    ['nothing to read', ['inspect', fixture('onnx-odd/wire-trunc-half.onnx')], 3],
  ])('%s', (_, words, status) => {
    const outcome = ortho(words);
    expect(outcome.status).toBe(status);
    expect(`${outcome.stdout}${outcome.stderr}`).not.toMatch(/\n\s+at .*:\d+:\d+/);
  });

  it('escapes on a terminal what it keeps in JSON', () => {
    const path = fixture('onnx-invalid/invalid-name-newline-bidi.onnx');
    const text = ortho(['inspect', '--check', path]).stdout;
    expect(text).not.toContain('\u202e');
    expect(text).toContain('u{202e}');
    expect(JSON.parse(ortho(['inspect', '--check', '--json', path]).stdout)).toMatchObject({
      data: { inputs: [{ name: 'X\n\u202egnp.exe\u200b' }] },
    });
  });

  it('prints text in place of a report', () => {
    const { stdout, status } = ortho(['inspect', '--text', sample]);
    expect(status).toBe(0);
    expect(parseModelText(stdout).graph?.node.map(({ opType }) => opType)).toEqual([
      'Conv',
      'If',
      'Relu',
      'Identity',
    ]);
  });
});
