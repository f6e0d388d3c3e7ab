/** Looks before the work at everything that a job file writes. */
import { existsSync } from 'node:fs';
import { checkOutput } from './output.ts';
import type { RunConfig, RunJob } from './run-config.ts';

const outputsOf = ({ output, quantize }: RunJob): string[] =>
  quantize === undefined ? [output] : [output, quantize.output];

const samplesOf = ({ references, quantize }: RunJob): string[] =>
  [references, quantize?.calibrate?.path, quantize?.evaluate].filter((path) => path !== undefined);

/**
 * No output may be an input: not the job file, nor samples, nor a source (that of a later job may be the output of an
 * earlier one). Folders that are missing are made later.
 * @param at a path of the job file as seen from here
 * @throws OrthoError usage/output-exists, usage/conflict, output/unwritable
 */
export const checkRunOutputs = (
  { jobs }: RunConfig,
  options: { readonly config: string; readonly force: boolean; at(path: string): string },
): void => {
  const { config, force, at } = options;
  const samples = [config, ...jobs.flatMap(samplesOf).map(at)];
  const outputs = new Set<string>();
  const sources: string[] = [];
  for (const job of jobs) {
    const source = at(job.source);
    if (!outputs.has(source)) sources.push(source);
    for (const output of outputsOf(job)) outputs.add(at(output));
  }
  for (const output of outputs) {
    if (existsSync(output)) checkOutput(output, { force, inputs: [...samples, ...sources] });
  }
};
