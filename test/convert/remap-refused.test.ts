/** Tensors that a file names but that cannot be read never get lost in silence. */
import { describe, expect, it } from 'vitest';
import { remap } from '../../src/convert/remap.ts';
import { float32Tensor } from '../../src/core/tensor.ts';

const dict = {
  path: '',
  tensors: new Map([['a', float32Tensor([1], [1])]]),
  refused: new Map([['lost', { what: 'a meta tensor', hint: 'load its weights' }]]),
};

describe('a key whose tensor cannot be read', () => {
  it('stops the job, with its reason', () => {
    expect(() => remap(dict, {})).toThrow(
      expect.objectContaining({ code: 'checkpoint/unsupported', message: '"lost" is a meta tensor' }),
    );
  });
  it('may be dropped, or not selected, and is counted as dropped', () => {
    for (const options of [{ drop: ['lo*'] }, { select: ['a'] }]) {
      const result = remap(dict, options);
      expect([...result.tensors.keys()]).toEqual(['a']);
      expect(result.dropped).toEqual(['lost']);
      expect(result.unused).toEqual([]);
    }
  });
  it('may be missing under its new name where the caller allows it', () => {
    const mayLack = (key: string) => key === 'x.lost';
    expect(remap(dict, { addPrefix: 'x.', mayLack }).dropped).toEqual(['lost']);
    expect(() => remap(dict, { mayLack })).toThrow(
      expect.objectContaining({ code: 'checkpoint/unsupported' }),
    );
  });
});
