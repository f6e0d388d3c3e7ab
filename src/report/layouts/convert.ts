/** convert: what was built from which keys; the keys that do not fit; parity. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatCount, NONE } from '../format.ts';
import type { ConvertData } from '../schemas/convert.ts';
import { parityBlocks } from './parity.ts';

const keyLines = (title: string, keys: readonly string[]): Block[] =>
  keys.length === 0
    ? []
    : [{ kind: 'lines', title: `${title} (${keys.length})`, lines: keys.map(printable) }];

export const convertLayout: Layout<ConvertData> = ({
  architecture,
  matched,
  missing,
  unexpected,
  mismatched,
  unused,
  opset,
  nodes,
  parameters,
  flushedSubnormals,
  parity,
}) => [
  facts([
    ['architecture', architecture === null ? NONE : printable(architecture)],
    ['keys', `${formatCount(matched)} matched, ${formatCount(unused.length)} of them not needed`],
    ['missing', formatCount(missing.length)],
    ['unexpected', formatCount(unexpected.length)],
    ['opset', formatCount(opset)],
    ['nodes', formatCount(nodes)],
    ['parameters', formatCount(parameters)],
    ['flushed subnormals', formatCount(flushedSubnormals)],
  ]),
  // With no key in common both lists are the whole files: the report as JSON has them.
  ...(matched === 0 ? [] : [...keyLines('missing', missing), ...keyLines('unexpected', unexpected)]),
  ...(mismatched.length === 0
    ? []
    : [
        table(
          ['key', 'found', 'expected'],
          mismatched.map(({ key, found, expected }) => [printable(key), printable(found), expected]),
          `of another shape (${mismatched.length})`,
        ),
      ]),
  ...(parity === null ? [] : parityBlocks(parity, 'parity')),
];
