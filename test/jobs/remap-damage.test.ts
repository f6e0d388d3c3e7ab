/** What remap says about records whose bytes changed after they were written. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { remapFile } from '../../src/jobs/remap.ts';
import { checkpointFile, dict, floats, storage, tempFolder, tensor } from '../support/torch-files.ts';

describe('a copy of a checkpoint', () => {
  it.each(['safetensors', 'npz', 'pth'])('to .%s names the damaged record', async (extension) => {
    const good = floats(1, 2, 3);
    const path = checkpointFile(
      dict({ a: tensor(storage('0', 3), [3], [1]), b: tensor(storage('1', 1), [1], [1]) }),
      { 0: good, 1: floats(9) },
    );
    const bytes = readFileSync(path);
    bytes[bytes.indexOf(good)] = 7;
    writeFileSync(path, bytes);
    const { ok, findings } = await remapFile({
      source: path,
      output: join(tempFolder(), `out.${extension}`),
    });
    expect(ok).toBe(true);
    expect(findings.map(({ level, rule, message }) => [level, rule, message])).toEqual([
      ['warning', 'checksum-mismatch', '"archive/data/0" does not have the checksum that the archive states'],
    ]);
  });
});
