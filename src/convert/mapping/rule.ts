/**
 * The rules of a mapping: what each is called and says. They apply one after the other, each to what the rules before
 * it have left. `keys` is a pattern that fits whole keys (pattern-syntax.ts), `to` the new key as a template
 * (key-template.ts); `rank` restricts a rule to tensors of so many dimensions; negative dimensions count from the end.
 */
import type { FloatDType } from '../../core/cast.ts';

interface Common {
  /** For people. */
  readonly note?: string | undefined;
  /** `skip`: the rule is left out when the mapping is inverted; for those that have no inverse. */
  readonly inverse?: 'skip' | undefined;
}

interface OnTensors extends Common {
  readonly keys: string;
  readonly rank?: number | undefined;
}

/** Old key to new. */
interface TableRule extends Common {
  readonly op: 'table';
  readonly keys: Readonly<Record<string, string>>;
}
/** Keys that begin with `from`, and go on after it. */
interface PrefixRule extends Common {
  readonly op: 'prefix';
  readonly from: string;
  readonly to: string;
}
interface RenameRule extends Common {
  readonly op: 'rename';
  readonly keys: string;
  readonly to: string;
}
/** Globs, as in --select and --drop. */
interface SelectRule extends Common {
  readonly op: 'select' | 'drop';
  readonly globs: readonly string[];
}
/** Two dimensions change places, the last two unless said. */
interface TransposeRule extends OnTensors {
  readonly op: 'transpose';
  readonly dims?: readonly number[] | undefined;
}
/** Dimension `order[i]` becomes dimension i. */
interface PermuteRule extends OnTensors {
  readonly op: 'permute';
  readonly order: readonly number[];
}
/** Row-major; one −1 stands for what is left, null for a dimension that stays. `from`: the shape before, for the inverse. */
interface ReshapeRule extends OnTensors {
  readonly op: 'reshape';
  readonly shape: readonly (number | null)[];
  readonly from?: readonly (number | null)[] | undefined;
}
/** Takes out (puts in) a dimension of size 1. */
interface SqueezeRule extends OnTensors {
  readonly op: 'squeeze' | 'unsqueeze';
  readonly dim: number;
}
/** The order of the elements along these dimensions is turned round. */
interface FlipRule extends OnTensors {
  readonly op: 'flip';
  readonly dims: readonly number[];
}
/** Indices `start`, `start + step`… below `end` along one dimension. */
interface SliceRule extends OnTensors {
  readonly op: 'slice';
  readonly dim: number;
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  readonly step?: number | undefined;
}
/** Floats become this type; integers stay. `from` restricts the rule to one type, and gives it an inverse. */
interface CastRule extends OnTensors {
  readonly op: 'cast';
  readonly dtype: FloatDType;
  readonly from?: FloatDType | undefined;
}
/** Floats times a factor. */
interface ScaleRule extends OnTensors {
  readonly op: 'scale';
  readonly factor: number;
}
/**
 * One tensor of several, for each set of captures. `sizes` (of each part along `dim`, or that they are equal) is
 * checked, and gives the rule an inverse. `groups`: the parts are interleaved in so many groups (heads).
 */
export interface ConcatRule extends Common {
  readonly op: 'concat';
  readonly keys: readonly string[];
  readonly to: string;
  readonly dim?: number | undefined;
  readonly sizes?: readonly number[] | 'equal' | undefined;
  readonly groups?: number | undefined;
}
/** Several tensors of one: parts of these sizes along `dim` (split), or equal parts (chunk). */
export interface SplitRule extends Common {
  readonly op: 'split' | 'chunk';
  readonly keys: string;
  readonly to: readonly string[];
  readonly dim?: number | undefined;
  /** Of split only. */
  readonly sizes?: readonly number[] | undefined;
  readonly groups?: number | undefined;
}
/** g · v / ‖v‖, the norm taken over all dimensions but the one that g has. */
export interface WeightNormRule extends Common {
  readonly op: 'weight-norm';
  readonly g: string;
  readonly v: string;
  readonly to: string;
}

export type NamingRule = TableRule | PrefixRule | RenameRule | SelectRule;
export type TensorRule =
  | TransposeRule
  | PermuteRule
  | ReshapeRule
  | SqueezeRule
  | FlipRule
  | SliceRule
  | CastRule
  | ScaleRule;
export type JoinRule = ConcatRule | SplitRule | WeightNormRule;
export type Rule = NamingRule | TensorRule | JoinRule;

/** The rule of one `op`. */
export type RuleOf<O extends Rule['op']> = Extract<Rule, { readonly op: O }>;
