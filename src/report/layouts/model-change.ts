/** A model before and after: the part that optimize and quantize share. */
import { printable } from '../../core/printable.ts';
import { type Table, table } from '../document.ts';
import { formatBytes, formatCount, NONE } from '../format.ts';
import type { ModelSizeData } from '../schemas/common.ts';

const change = (before: number | null, after: number | null): string => {
  if (before === null || after === null || before === 0) return '';
  const percent = (after / before - 1) * 100;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
};

const row = (
  name: string,
  before: number | null,
  after: number | null,
  format: (value: number) => string,
): string[] => [
  name,
  before === null ? NONE : format(before),
  after === null ? NONE : format(after),
  change(before, after),
];

/** Nodes, bytes, MACs, and the operators whose number changed. */
export const modelChange = (before: ModelSizeData, after: ModelSizeData): Table => {
  const names = [...new Set([...Object.keys(before.ops), ...Object.keys(after.ops)])].sort();
  const changed = names
    .map((op) => [op, before.ops[op] ?? 0, after.ops[op] ?? 0] as const)
    .filter(([, was, is]) => was !== is);
  return table(
    ['', '>before', '>after', '>change'],
    [
      row('size', before.bytes, after.bytes, formatBytes),
      row('nodes', before.nodes, after.nodes, formatCount),
      row('MACs', before.macs, after.macs, formatCount),
      ...changed.map(([op, was, is]) => row(`  ${printable(op)}`, was, is, String)),
    ],
  );
};
