/** The passes, in the order they run by default. A new one is a file here and a line below. */
import { deduplicateInitializers } from './deduplicate-initializers.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';
import { eliminateIdentity } from './eliminate-identity.ts';
import { flushSubnormals } from './flush-subnormals.ts';
import { fuseBnIntoConv } from './fuse-bn-into-conv.ts';
import { liftConstants } from './lift-constants.ts';
import type { Pass } from './pass.ts';

/** In the order they run: what makes others possible comes first, what only tidies up comes last. */
export const passes = {
  'eliminate-identity': eliminateIdentity,
  'lift-constants': liftConstants,
  'fuse-bn-into-conv': fuseBnIntoConv,
  'flush-subnormals': flushSubnormals,
  'eliminate-dead-nodes': eliminateDeadNodes,
  'deduplicate-initializers': deduplicateInitializers,
} as const satisfies Record<string, Pass>;

export type PassName = keyof typeof passes;

export const passNames = Object.keys(passes) as PassName[];
