/**
 * Operator schemas of the ONNX standard, every version: what inputs, outputs, attributes and types an operator has.
 * The data is generated (scripts/make-op-schemas.py tells its layout) and parsed on first use.
 */
import { readFileSync } from 'node:fs';
import type { AttributeKind } from '../ir/attribute.ts';
import type _generated from './schemas.generated.json';

/** One formal input or output. */
export interface FormalParameter {
  readonly name: string;
  readonly option: 'single' | 'optional' | 'variadic';
  /** A key of `Schema.typeConstraints`, or a type string such as `tensor(int64)`. */
  readonly type: string;
  /** The fewest values a variadic parameter takes; 1 for a single one, 0 for an optional one. */
  readonly minArity: number;
  /** False for a variadic parameter whose values may differ in type. */
  readonly homogeneous: boolean;
}

export interface SchemaAttribute {
  readonly name: string;
  readonly type: AttributeKind;
  readonly required: boolean;
  readonly default: number | string | readonly (number | string)[] | undefined;
}

export interface Schema {
  readonly domain: string;
  readonly name: string;
  /** The operator-set version that brought this version of the operator. */
  readonly since: number;
  readonly deprecated: boolean;
  readonly inputs: readonly FormalParameter[];
  readonly outputs: readonly FormalParameter[];
  readonly attributes: ReadonlyMap<string, SchemaAttribute>;
  /** Constraint name (`T`) to the type strings it allows (`tensor(float)`, `seq(tensor(int64))`). */
  readonly typeConstraints: ReadonlyMap<string, ReadonlySet<string>>;
}

/** The schema in force, or why there is none. */
export type SchemaLookup =
  | { readonly status: 'found'; readonly schema: Schema }
  /** Removed: the schema of that version says so; nodes must not use it from `since` on. */
  /** `isStillborn`: its first version was deprecated from the start; runtimes have it all the same. */
  | { readonly status: 'deprecated'; readonly schema: Schema; readonly isStillborn: boolean }
  | { readonly status: 'unknown-op' }
  /** The operator came later than the opset asked for. */
  | { readonly status: 'too-new'; readonly since: number }
  /** No schemas for this domain. `contrib` is true for the domains that ONNX Runtime itself defines. */
  | { readonly status: 'unknown-domain'; readonly contrib: boolean };

type Row = readonly [
  number,
  number,
  0 | string[],
  0 | string[],
  0 | AttributeRow[],
  0 | Record<string, number>,
];
type AttributeRow = readonly [string, AttributeKind, (0 | 1)?, SchemaAttribute['default']?];

interface SchemaFile {
  readonly source: string;
  readonly latest: Record<string, number>;
  readonly types: readonly string[];
  readonly domains: Record<string, Record<string, readonly Row[]>>;
}

interface Tables {
  readonly latest: ReadonlyMap<string, number>;
  readonly types: readonly ReadonlySet<string>[];
  readonly domains: ReadonlyMap<string, ReadonlyMap<string, readonly Row[]>>;
}

const CONTRIB_DOMAINS: ReadonlySet<string> = new Set([
  'com.microsoft',
  'com.microsoft.nchwc',
  'com.microsoft.experimental',
  'com.ms.internal.nhwc',
  'org.pytorch.aten',
]);

let loaded: Tables | undefined;

/** `typeof _generated` ties the file to this module, so that the build copies it next to the output. */
const parse = (text: string): SchemaFile => JSON.parse(text) as typeof _generated & SchemaFile;

const tables = (): Tables => {
  if (loaded) return loaded;
  const file = parse(readFileSync(new URL('./schemas.generated.json', import.meta.url), 'utf8'));
  loaded = {
    latest: new Map(Object.entries(file.latest)),
    // The two parts of a map are set off by a comma and a space; between types there is only the space.
    types: file.types.map((set) => new Set(set.split(/(?<!,) /).map((text) => text.replaceAll(', ', ',')))),
    domains: new Map(
      Object.entries(file.domains).map(([domain, ops]) => [domain, new Map(Object.entries(ops))]),
    ),
  };
  return loaded;
};

/** 'ai.onnx' is another spelling of the standard domain ''. */
export const canonicalDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

const OPTIONS = { s: 'single', '?': 'optional', '*': 'variadic' } as const;

const parseFormal = (text: string): FormalParameter => {
  const [name = '', option, type = '', arity, same] = text.split('|');
  return {
    name,
    option: OPTIONS[option as keyof typeof OPTIONS],
    type,
    minArity: arity === undefined ? (option === '?' ? 0 : 1) : Number(arity),
    homogeneous: same !== '0',
  };
};

const build = (domain: string, name: string, rows: readonly Row[], index: number): Schema => {
  /** The last version up to this one that spells a part out (0 = as before). */
  const part = <T>(column: 2 | 3 | 4 | 5): T => {
    let at = index;
    while (rows[at]?.[column] === 0) at--;
    return rows[at]?.[column] as T;
  };
  const { types } = tables();
  const [since, flags] = rows[index] as Row;
  return {
    domain,
    name,
    since,
    deprecated: flags === 1,
    inputs: part<string[]>(2).map(parseFormal),
    outputs: part<string[]>(3).map(parseFormal),
    attributes: new Map(
      part<AttributeRow[]>(4).map(([attribute, type, required, value]) => [
        attribute,
        { name: attribute, type, required: required === 1, default: value },
      ]),
    ),
    typeConstraints: new Map(
      Object.entries(part<Record<string, number>>(5)).map(([constraint, set]) => [
        constraint,
        types[set] as ReadonlySet<string>,
      ]),
    ),
  };
};

const built = new Map<Row, Schema>();

/**
 * The schema of an operator that is in force at an operator-set version.
 * @param domain '' or 'ai.onnx' is the standard one
 * @param opset the version that the model imports for that domain; beyond the newest known one the newest schema counts
 */
export const schemaOf = (domain: string, op: string, opset: number): SchemaLookup => {
  const name = canonicalDomain(domain);
  const ops = tables().domains.get(name);
  if (ops === undefined) return { status: 'unknown-domain', contrib: CONTRIB_DOMAINS.has(name) };
  const rows = ops.get(op);
  if (rows === undefined) return { status: 'unknown-op' };
  const index = rows.findLastIndex((row) => row[0] <= opset);
  const row = rows[index];
  if (row === undefined) return { status: 'too-new', since: (rows[0] as Row)[0] };
  let schema = built.get(row);
  if (schema === undefined) {
    schema = build(name, op, rows, index);
    built.set(row, schema);
  }
  return schema.deprecated
    ? { status: 'deprecated', schema, isStillborn: index === 0 }
    : { status: 'found', schema };
};

/** The newest operator-set version whose schemas are known, or undefined for a domain without schemas. */
export const latestOpset = (domain: string): number | undefined =>
  tables().latest.get(canonicalDomain(domain));

/** Names of all operators of a domain that has schemas. */
export const operatorNames = (domain: string): string[] => [
  ...(tables().domains.get(canonicalDomain(domain))?.keys() ?? []),
];
