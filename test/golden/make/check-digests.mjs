/**
 * Compares checkpoints with what PyTorch reads from them: FOLDER's files with test/golden/checkpoint-digests.tsv, and
 * those that have a table `expect/FILE.tsv` beside FOLDER with it. For files that are too large to be kept here.
 *
 * Usage: npm run build && node test/golden/make/check-digests.mjs FOLDER...     (exit code 1 when anything differs)
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { chunksOf } from '../../../dist/src/core/source.js';
import { openWeights } from '../../../dist/src/formats/index.js';

const table = readFileSync(new URL('../checkpoint-digests.tsv', import.meta.url), 'utf8');
const digests = new Map();
for (const line of table.trimEnd().split('\n')) {
  const [file, path, tensors, digest] = line.split('\t');
  if (!digests.has(file)) digests.set(file, new Map());
  digests.get(file).set(path, { tensors: Number(tensors), digest });
}

const TORCH_NAMES = {
  float8e4m3fn: 'float8_e4m3fn',
  float8e5m2: 'float8_e5m2',
  float8e4m3fnuz: 'float8_e4m3fnuz',
  float8e5m2fnuz: 'float8_e5m2fnuz',
  float8e8m0: 'float8_e8m0fnu',
};

/** What checkpoint-digests.py prints of a tensor. */
const lineOf = (key, { dtype, dims, data }) => {
  const hash = createHash('sha256');
  for (const chunk of chunksOf(data)) hash.update(chunk);
  return `${key}\t[${dims.join(', ')}]\t${TORCH_NAMES[dtype] ?? dtype}\t${hash.digest('hex')}\n`;
};
/** Python sorts by code point, JavaScript by UTF-16: the keys here are the same either way. */
const digestOf = (lines) => {
  const sorted = [...lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  return createHash('sha256').update(sorted.join('')).digest('hex');
};
const linesOf = ({ tensors }) => new Map([...tensors].map(([key, tensor]) => [key, lineOf(key, tensor)]));

/** By digest: the state dicts that PyTorch has. */
const compareDigests = (file, expected, stateDicts) => {
  const faults = [];
  for (const [path, { tensors, digest }] of expected) {
    const found = stateDicts.find((dict) => dict.path === path);
    const lines = found === undefined ? new Map() : linesOf(found);
    if (lines.size !== tensors) faults.push(`${file} "${path}": ${lines.size} tensors, not ${tensors}`);
    else if (digestOf(lines) !== digest) faults.push(`${file} "${path}": other tensors than PyTorch's`);
  }
  return faults;
};

/** By table: every tensor of ours, and every one of the table outside optimizer and random states. */
const compareTable = (file, path, stateDicts) => {
  const rows = new Map();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [key, shape, dtype, hash] = line.split('\t');
    if (shape?.startsWith('[')) rows.set(key.replaceAll('.', '/'), `${shape}\t${dtype}\t${hash}`);
  }
  const faults = [];
  for (const dict of stateDicts) {
    for (const [key, line] of linesOf(dict)) {
      const full = `${dict.path === '' ? '' : `${dict.path}.`}${key}`.replaceAll('.', '/');
      const expected = rows.get(full);
      const hasNoHash = expected !== undefined && !/[0-9a-f]{64}/.test(expected);
      const got = line.slice(key.length + 1).trimEnd();
      if (expected !== got && !hasNoHash) faults.push(`${file} ${full}: ${got}, not ${expected}`);
      rows.delete(full);
    }
  }
  const left = [...rows.keys()].filter((key) => !/^(optimizer|callbacks|rng|history)/.test(key));
  return [...faults, ...left.map((key) => `${file} ${key}: missing`)];
};

const count = { files: 0, tensors: 0, compared: 0 };
const faults = [];
for (const folder of process.argv.slice(2)) {
  for (const name of readdirSync(folder).sort()) {
    if (!/\.(pth|pt|ckpt|tar|safetensors)$/.test(name)) continue;
    const file = openWeights(join(folder, name));
    const tsv = join(folder, '..', 'expect', `${name}.tsv`);
    const expected = digests.get(name);
    count.files++;
    const before = faults.length;
    if (existsSync(tsv)) faults.push(...compareTable(name, tsv, file.stateDicts));
    else if (expected !== undefined) faults.push(...compareDigests(name, expected, file.stateDicts));
    else console.log(`${basename(folder)}/${name}: opens, nothing to compare with`);
    const tensors = file.stateDicts.reduce((sum, dict) => sum + dict.tensors.size, 0);
    count.tensors += tensors;
    if ((existsSync(tsv) || expected !== undefined) && faults.length === before) count.compared += tensors;
    file.close();
  }
}
for (const fault of faults) console.error(fault);
console.log(`${count.files} files, ${count.tensors} tensors; ${count.compared} equal, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
