/**
 * What the JSON of an exported program says about itself: versions and the names of its inputs and outputs. The graph
 * is not looked at.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { type DescriptionBudget, jsonOf, member, shown } from './pt2-json.ts';
import type { Json } from './state-dict.ts';
import type { ZipEntry } from './zip.ts';

/** Bytes of a program's JSON that are read for its metadata; longer ones are left alone. */
const MAX_PROGRAM = 16 * 1024 * 1024;
/** The schema of payload configs and scalar types that is understood. */
const SCHEMA_MAJOR = 8;
/** Inputs and outputs that are named. */
const MAX_NAMES = 64;

/** The names of the tensors among `specs` that are the user's own. */
const namesOf = (specs: unknown, kind: 'user_input' | 'user_output'): string[] => {
  const names: string[] = [];
  for (const spec of Array.isArray(specs) ? specs : []) {
    const name = member(spec, kind, 'arg', 'as_tensor', 'name');
    if (typeof name === 'string' && names.length < MAX_NAMES) names.push(name.slice(0, 200));
  }
  return names;
};

/**
 * Metadata of one program.
 * @throws OrthoError checkpoint/invalid, checkpoint/unsupported for another major version of the schema, file/limit
 */
export const programMetadata = (
  entry: ZipEntry,
  label: string,
  findings: Finding[],
  budget: DescriptionBudget,
): ReadonlyMap<string, Json> => {
  const metadata = new Map<string, Json>();
  if (entry.size > Math.min(MAX_PROGRAM, budget.left)) {
    findings.push({
      level: 'note',
      rule: 'long-program',
      message: `"${entry.name}" has ${entry.size} bytes; versions, inputs and outputs were not read from it`,
      at: { file: label },
    });
    return metadata;
  }
  const program = jsonOf(entry, label, MAX_PROGRAM, budget);
  const major = member(program, 'schema_version', 'major');
  const minor = member(program, 'schema_version', 'minor');
  if (major !== SCHEMA_MAJOR) {
    throw new OrthoError(
      'checkpoint/unsupported',
      `${label}: ${entry.name} has schema version ${shown(major)} (${SCHEMA_MAJOR} is known)`,
      { hint: 'export the program again with PyTorch 2.8 or newer', at: { file: label } },
    );
  }
  metadata.set('schemaVersion', `${major}.${typeof minor === 'number' ? minor : 0}`);
  const torch = member(program, 'torch_version');
  if (typeof torch === 'string') metadata.set('torchVersion', torch.slice(0, 200));
  const opset = member(program, 'opset_version', 'aten');
  if (typeof opset === 'number') metadata.set('atenOpset', opset);
  const signature = member(program, 'graph_module', 'signature');
  const inputs = namesOf(member(signature, 'input_specs'), 'user_input');
  const outputs = namesOf(member(signature, 'output_specs'), 'user_output');
  if (inputs.length > 0) metadata.set('inputs', inputs);
  if (outputs.length > 0) metadata.set('outputs', outputs);
  return metadata;
};
