/** Every kind of hostile checkpoint, made from scratch: the verdict of the table, in one line that helps. */
import { describe, expect, it } from 'vitest';
import { openWeights } from '../../src/formats/index.ts';
import { HOSTILE_KINDS } from '../fuzz/hostile.ts';
import { exercise } from '../fuzz/target.ts';
import { HOSTILE_FILES } from '../support/hostile-files.ts';
import { fileWith } from '../support/torch-files.ts';

describe('kinds of hostile checkpoints', () => {
  it.each(HOSTILE_KINDS)('$name: $verdict', async ({ make, verdict }) => {
    const path = fileWith(make());
    const refused = await exercise(path);
    expect(refused?.code ?? 'harmless').toBe(verdict);
    if (refused === undefined) return;
    expect([3, 4]).toContain(refused.exitCode);
    expect(refused.message).toContain(path);
    expect(refused.message).not.toContain('\n');
    expect(refused.hint).toBeTruthy();
  });

  it('have names of their own, and stand for the files that are not stored', () => {
    const names = HOSTILE_KINDS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { madeBy, verdict } of HOSTILE_FILES) {
      if (madeBy === undefined) continue;
      expect(HOSTILE_KINDS.find(({ name }) => name === madeBy)?.verdict).toBe(verdict);
    }
  });

  it('the sound files that the others damage hold their tensor', () => {
    for (const name of ['written field by field', 'legacy container']) {
      const file = openWeights(fileWith(HOSTILE_KINDS.find((kind) => kind.name === name)!.make()));
      expect(file.stateDicts[0]?.tensors.has('w')).toBe(true);
      file.close();
    }
  });
});
