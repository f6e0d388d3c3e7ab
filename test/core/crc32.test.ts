import { describe, expect, it } from 'vitest';
import { crc32, tableCrc32 } from '../../src/core/crc32.ts';

describe.each([
  ['the fast way', crc32],
  ['the table', tableCrc32],
])('%s', (_, sum) => {
  it('has the check value of CRC-32', () => {
    expect(sum(Buffer.from('123456789'))).toBe(0xcbf43926);
    expect(sum(new Uint8Array(0))).toBe(0);
  });
  it('continues from an earlier sum', () => {
    expect(sum(Buffer.from('6789'), sum(Buffer.from('12345')))).toBe(0xcbf43926);
  });
});
