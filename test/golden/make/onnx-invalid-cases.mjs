/**
 * Writes down what the checker says of each invalid model: `verdict` and `findings` of
 * test/fixtures/onnx-invalid/cases.json, and its sha256 in test/fixtures/manifest.json. Everything else in the table
 * (expected, tolerated, wrong, error) is by hand: compare the two before committing.
 *
 * Usage: npm run build && node test/golden/make/onnx-invalid-cases.mjs
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { checkModelFile } from '../../../dist/src/inspect/check.js';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const folder = `${fixtures}onnx-invalid/`;
const table = `${folder}cases.json`;
const cases = JSON.parse(readFileSync(table, 'utf8')).map((one) => {
  const findings = checkModelFile(`${folder}${one.file}`);
  const has = (wanted) => findings.some(({ level }) => level === wanted);
  return {
    ...one,
    verdict: has('error') ? 'refuse' : has('warning') ? 'warn' : 'accept',
    findings: findings.map(({ level, rule, message }) => `${level} ${rule}: ${message}`),
  };
});
const text = `${JSON.stringify(cases, undefined, 1)}\n`;
writeFileSync(table, text);

const manifestPath = `${fixtures}manifest.json`;
const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
manifest['onnx-invalid/cases.json'] = {
  source: 'what each of the invalid models must lead to; its findings by test/golden/make/onnx-invalid-cases.mjs',
  sha256: createHash('sha256').update(text).digest('hex'),
};
writeFileSync(manifestPath, `${JSON.stringify(manifest, undefined, 2)}\n`);
