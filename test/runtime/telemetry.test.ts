/** The runtime's own telemetry is off: it neither sends nor leaves files. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repository } from '../support/golden.ts';

test.skipIf(process.platform === 'win32')('a run leaves nothing in home or temporary folders', () => {
  const place = mkdtempSync(join(tmpdir(), 'ortho-telemetry-test-'));
  try {
    const model = join(repository, 'models/optimized/mtcnn-pnet/onnx/model.onnx');
    const { ORT_DISABLE_TELEMETRY: _, CI: __, ...env } = process.env;
    const { status } = spawnSync(
      process.execPath,
      [join(repository, 'dist/cli/main.js'), 'verify', model, '--reference', model],
      { env: { ...env, TMPDIR: place, HOME: place, XDG_CACHE_HOME: place }, cwd: place },
    );
    expect(status).toBe(0);
    expect(readdirSync(place)).toEqual([]);
  } finally {
    rmSync(place, { recursive: true });
  }
});
