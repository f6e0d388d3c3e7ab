/** Registry of the report formats. */
import { json } from './json.ts';
import { md } from './md.ts';
import type { Renderer } from './renderer.ts';
import { text } from './text.ts';

export const renderers = { text, json, md } as const satisfies Record<string, Renderer>;
