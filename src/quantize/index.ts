/** Registry of quantisation schemes: one line each. */
import { dynamicScheme } from './dynamic.ts';
import type { Scheme } from './scheme.ts';
import { staticScheme } from './static.ts';

export const schemes = {
  dynamic: dynamicScheme,
  static: staticScheme,
} as const satisfies Record<string, Scheme>;

export type SchemeName = keyof typeof schemes;
