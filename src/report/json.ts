/** The report as JSON: one object, two-space indent. Numbers that JSON lacks (NaN, infinities) become null. */
import type { Renderer } from './renderer.ts';

const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
};

export const json: Renderer = {
  name: 'json',
  extension: 'json',
  render: (report) => `${JSON.stringify(report, plain, 2)}\n`,
};
