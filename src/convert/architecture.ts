/** What an architecture is: the network of a PyTorch module, written with the nn builder. */
import type { Shape } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import type { Nn } from './nn.ts';
import type { KeyAlias } from './parameters.ts';

export interface ArchitectureInput {
  readonly name: string;
  /** [N, C, H, W]: numbers are fixed, names are dynamic dimensions. */
  readonly shape: Shape;
}

/**
 * One network. Keys and shapes of its state dict follow from `build` alone: a dry run records what it asks for, which
 * is also how a checkpoint's architecture is recognised.
 */
export interface Architecture {
  /** As given to `--architecture`. */
  readonly name: string;
  /** One line for help and docs. */
  readonly summary: string;
  /** The PyTorch module this stands for, and where it is defined. */
  readonly module: string;
  readonly inputs: readonly ArchitectureInput[];
  /** Second names of the same tensors. */
  readonly aliases?: readonly KeyAlias[];
  /** Globs of keys that the module registers and its forward never reads. */
  readonly deadKeys?: readonly string[];
  /**
   * A few keys from all over the network: a state dict that has none of them is not worth comparing. Looking them up
   * is cheap, a dry run is not. Without any, every state dict is compared.
   */
  readonly landmarks?: readonly string[];
  /** Builds the network on its inputs, in the order of `inputs`; gives the outputs by name, in order. */
  build(nn: Nn, ...inputs: Value[]): Readonly<Record<string, Value>>;
}
