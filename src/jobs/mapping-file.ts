/**
 * The mapping file of `ortho remap --mapping`: JSON, checked before anything is done. What the rules mean is in
 * convert/mapping/rule.ts; the JSON Schema under schemas/ is generated from this definition.
 */
import * as z from 'zod';
import { ruleFaults } from '../convert/mapping/check-rule.ts';
import { MAX_PATTERN } from '../convert/mapping/pattern-syntax.ts';
import type { Rule } from '../convert/mapping/rule.ts';
import { FLOAT_DTYPES } from '../core/cast.ts';
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import { configPlace, parseConfigJson } from './config-json.ts';

/** Bytes of a mapping file. */
const MAX_MAPPING = 4_000_000;
/** Rules of a mapping file. */
const MAX_RULES = 1000;

const pattern = z
  .string()
  .min(1)
  .max(MAX_PATTERN)
  .describe('A regular expression that fits the whole key; dots are written \\.');
const template = z
  .string()
  .min(1)
  .describe('The new key; $1 or $<name> is a group of the pattern, $$ a dollar');
const dim = z.int().describe('A dimension; negative ones count from the end');
const dims = z.array(dim).min(1);
const size = z.int().min(0);
const groups = z
  .int()
  .min(1)
  .describe('Parts are interleaved in so many groups (heads); default 1')
  .optional();
const globs = z.array(z.string().min(1)).min(1);

const common = {
  note: z.string().describe('For people').optional(),
  inverse: z.literal('skip').describe('Left out when the mapping is inverted').optional(),
};
const onTensors = {
  ...common,
  keys: pattern,
  rank: size.describe('Only tensors of so many dimensions').optional(),
};
const shapeForm = z
  .array(z.int().min(-1).nullable())
  .describe('Dimensions; -1 for what is left, null for one that stays as it is');

/** What every `op` takes, in the order of the documentation. */
const RULES = [
  z
    .strictObject({
      op: z.literal('table'),
      keys: z.record(z.string(), z.string()).describe('Old key to new'),
      ...common,
    })
    .describe('Renames these keys'),
  z
    .strictObject({ op: z.literal('prefix'), from: z.string(), to: z.string(), ...common })
    .describe('Renames keys that begin with "from" and go on after it'),
  z
    .strictObject({ op: z.literal('rename'), keys: pattern, to: template, ...common })
    .describe('Renames keys by pattern'),
  z.strictObject({ op: z.literal('select'), globs, ...common }).describe('Keeps only keys like these'),
  z.strictObject({ op: z.literal('drop'), globs, ...common }).describe('Leaves out keys like these'),
  z
    .strictObject({ op: z.literal('transpose'), ...onTensors, dims: z.array(dim).length(2).optional() })
    .describe('Two dimensions change places; default: the last two'),
  z
    .strictObject({ op: z.literal('permute'), ...onTensors, order: dims })
    .describe('Dimension order[i] becomes dimension i'),
  z
    .strictObject({
      op: z.literal('reshape'),
      ...onTensors,
      shape: shapeForm,
      from: shapeForm.describe('The shape before: checked, and needed for the inverse').optional(),
    })
    .describe('Other dimensions for the same elements'),
  z.strictObject({ op: z.literal('squeeze'), ...onTensors, dim }).describe('Takes out a dimension of size 1'),
  z.strictObject({ op: z.literal('unsqueeze'), ...onTensors, dim }).describe('Puts in a dimension of size 1'),
  z
    .strictObject({ op: z.literal('flip'), ...onTensors, dims })
    .describe('Turns round the order of the elements along dimensions'),
  z
    .strictObject({
      op: z.literal('slice'),
      ...onTensors,
      dim,
      start: z.int().optional(),
      end: z.int().optional(),
      step: z.int().min(1).optional(),
    })
    .describe('Keeps indices from start to before end; negative ones count from the end of the dimension'),
  z
    .strictObject({
      op: z.literal('cast'),
      ...onTensors,
      dtype: z.enum(FLOAT_DTYPES),
      from: z
        .enum(FLOAT_DTYPES)
        .describe('Only tensors of this type; a wider dtype can then be inverted')
        .optional(),
    })
    .describe('Casts floats, to nearest even; integers stay as they are'),
  z
    .strictObject({ op: z.literal('scale'), ...onTensors, factor: z.number() })
    .describe('Multiplies floats in float32 (float64 in float64)'),
  z
    .strictObject({
      op: z.literal('concat'),
      keys: z.array(pattern).min(1),
      to: template,
      dim: dim.optional(),
      sizes: z
        .union([z.array(size), z.literal('equal')])
        .describe('The size of each part along dim: checked, and needed for the inverse')
        .optional(),
      groups,
      ...common,
    })
    .describe('Joins the tensors that the patterns find for the same captures, along dim (default 0)'),
  z
    .strictObject({
      op: z.literal('split'),
      keys: pattern,
      to: z.array(template).min(1),
      dim: dim.optional(),
      sizes: z.array(size).min(1),
      groups,
      ...common,
    })
    .describe('Cuts a tensor into parts of these sizes along dim (default 0)'),
  z
    .strictObject({
      op: z.literal('chunk'),
      keys: pattern,
      to: z.array(template).min(1),
      dim: dim.optional(),
      groups,
      ...common,
    })
    .describe('Cuts a tensor into equal parts along dim (default 0)'),
  z
    .strictObject({ op: z.literal('weight-norm'), g: pattern, v: pattern, to: template, ...common })
    .describe('Fuses weight normalisation: g · v / ‖v‖'),
] as const;

const OPS = RULES.map(({ shape }) => shape.op.value);

const rule = z
  .discriminatedUnion('op', RULES, { error: () => `"op" must be one of ${OPS.join(', ')}` })
  .superRefine((value, context) => {
    for (const { path, message } of ruleFaults(value))
      context.addIssue({ code: 'custom', path: [...path], message });
  });

export const remapMapping = z
  .strictObject({
    $schema: z.string().optional(),
    note: common.note,
    rules: z
      .array(rule)
      .min(1)
      .max(MAX_RULES)
      .describe('Applied one after the other, each to what the rules before it have left'),
  })
  .describe('A mapping of ortho remap: rules that rename, select and transform the tensors of a state dict');

/**
 * The rules of a mapping file.
 * @throws OrthoError file/not-found, file/limit, config/invalid naming every fault by its path inside the file
 */
export const readMapping = (path: string): readonly Rule[] => {
  const file = new FileSource(path);
  try {
    if (file.size > MAX_MAPPING) {
      throw new OrthoError(
        'file/limit',
        `${path}: a mapping of ${file.size} bytes (at most ${MAX_MAPPING})`,
        {
          at: { file: path },
        },
      );
    }
    const text = new TextDecoder().decode(file.read(0, file.size));
    const result = remapMapping.safeParse(parseConfigJson(path, text));
    if (result.success) return result.data.rules;
    const faults = result.error.issues.map((issue) => `${configPlace(issue.path)}: ${issue.message}`);
    throw new OrthoError('config/invalid', `${path}: ${faults.slice(0, 10).join('; ')}`, {
      at: { file: path },
      hint: 'schemas/remap-mapping.schema.json describes the file',
    });
  } finally {
    file.close();
  }
};
