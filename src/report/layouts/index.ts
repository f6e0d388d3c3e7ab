/** Registry of the layouts: kinds of reports that read better than the generic layout would make them. */

import type { Report } from '../../core/report.ts';
import type { Block, Layout } from '../document.ts';
import { benchLayout } from './bench.ts';
import { convertLayout } from './convert.ts';
import { diffLayout } from './diff.ts';
import { doctorLayout } from './doctor.ts';
import { genericLayout } from './generic.ts';
import { inspectLayout } from './inspect.ts';
import { optimizeLayout } from './optimize.ts';
import { verifyLayout } from './parity.ts';
import { quantizeLayout } from './quantize.ts';
import { remapLayout } from './remap.ts';
import { runLayout } from './run.ts';
import { tuneLayout } from './tune.ts';

export const layouts = {
  inspect: inspectLayout,
  diff: diffLayout,
  remap: remapLayout,
  convert: convertLayout,
  optimize: optimizeLayout,
  quantize: quantizeLayout,
  verify: verifyLayout,
  bench: benchLayout,
  doctor: doctorLayout,
  tune: tuneLayout,
  run: runLayout,
} as const satisfies Record<string, Layout<never>>;

/** The blocks of any report. */
export const blocksOf = (report: Report, options: { readonly all: boolean }): readonly Block[] => {
  const kind = report.schema.split('@')[0]!;
  const layout: Layout<never> = Object.hasOwn(layouts, kind)
    ? layouts[kind as keyof typeof layouts]
    : genericLayout;
  // The schema names the kind of the data: what a layout gets is what its kind promises.
  return layout(report.data as never, options);
};
