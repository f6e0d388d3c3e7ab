/**
 * A state dict as the tree of its modules, with repeated blocks folded: siblings whose names differ in one number and
 * that hold tensors of the same names, dtypes and ranks become one row (`layers.{0-11}`), and a module that only wraps
 * another one shares its row (`module.features`). Tensors with two names are counted under the first.
 */
import { elementCount } from '../core/tensor.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import type { ModuleData } from '../report/schemas/inspect.ts';

/** Components of a key; what follows is the tensor's name. Bounds the recursion below. */
const MAX_DEPTH = 64;

interface Leaf {
  /** The last component of the key. */
  readonly name: string;
  readonly tensor: WeightTensor;
}

class Module {
  readonly children = new Map<string, Module>();
  readonly leaves: Leaf[] = [];
  tensors = 0;
  aliases = 0;
  parameters = 0;
  bytes = 0;
  /** The path before which the tensors have their first names, when all are second names; null when there are several. */
  target: string | null | undefined;
  /** Equal for modules that hold the same names, dtypes and ranks. */
  signature = 0;
}

/** Modules of one row: one, or several that are alike. */
interface Group {
  readonly label: string;
  readonly modules: readonly Module[];
}

/** The module that a second name leads to: the first name without what both end with. */
const targetOf = (first: string | undefined, rest: string): string | null =>
  first?.endsWith(`.${rest}`) === true ? first.slice(0, -rest.length - 1) : null;

const plant = (tensors: ReadonlyMap<string, WeightTensor>): Module => {
  const root = new Module();
  for (const [key, tensor] of tensors) {
    const isAlias = tensor.sharedWith !== undefined;
    const elements = isAlias ? 0 : elementCount(tensor.dims);
    // `from`: where the key goes on below the module.
    const count = (module: Module, from: number): void => {
      module.tensors++;
      module.aliases += isAlias ? 1 : 0;
      module.parameters += elements;
      module.bytes += isAlias ? 0 : tensor.data.size;
      const target = targetOf(tensor.sharedWith, key.slice(from));
      module.target = module.tensors === 1 || module.target === target ? target : null;
    };
    let module = root;
    let from = 0;
    count(root, 0);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const dot = key.indexOf('.', from);
      if (dot < 0) break;
      const name = key.slice(from, dot);
      const child = module.children.get(name) ?? new Module();
      module.children.set(name, child);
      module = child;
      from = dot + 1;
      count(module, from);
    }
    module.leaves.push({ name: key.slice(from), tensor });
  }
  return root;
};

/** Gives every module its signature: one number for each distinct content. */
const sign = (root: Module): void => {
  const known = new Map<string, number>();
  const visit = (module: Module): number => {
    const parts: (string | number)[] = [];
    for (const { name, tensor } of module.leaves) parts.push(name, tensor.dtype, tensor.dims.length);
    for (const [name, child] of module.children) parts.push(name, visit(child));
    const text = JSON.stringify(parts);
    module.signature = known.get(text) ?? known.size;
    known.set(text, module.signature);
    return module.signature;
  };
  visit(root);
};

/** A name as the text around its last number. */
const templateOf = (
  name: string,
): { readonly before: string; readonly digits: string; readonly after: string } => {
  const [, before = '', digits = '', after = ''] = /^(.*?)(\d+)(\D*)$/s.exec(name) ?? [];
  return digits === '' ? { before: name, digits, after } : { before, digits, after };
};

/** `{0-11}` for consecutive numbers, `{0,3,6}` for a few, `{0…48}` for many others. */
const numbersLabel = (digits: readonly string[]): string => {
  if (digits.length === 1) return digits[0]!;
  const isRun = digits.every((each, i) => Number(each) === Number(digits[0]) + i);
  if (isRun && digits.length > 2) return `{${digits[0]}-${digits.at(-1)}}`;
  return digits.length <= 4 ? `{${digits.join(',')}}` : `{${digits[0]}…${digits.at(-1)}}`;
};

/** Names that differ in their last number and are of the same kind, with a label for all. */
const groupNames = <T>(
  items: readonly (readonly [name: string, kind: string | number, item: T])[],
): { readonly label: string; readonly items: readonly T[] }[] => {
  const groups = new Map<string, { before: string; after: string; items: [digits: string, item: T][] }>();
  for (const [name, kind, item] of items) {
    const { before, digits, after } = templateOf(name);
    const id = JSON.stringify([before, after, digits === '', kind]);
    const group = groups.get(id) ?? { before, after, items: [] };
    groups.set(id, group);
    group.items.push([digits, item]);
  }
  return [...groups.values()].map(({ before, after, items: all }) => {
    all.sort(([a], [b]) => Number(a) - Number(b));
    const numbers = all.map(([digits]) => digits);
    const label = numbers[0] === '' ? before : `${before}${numbersLabel(numbers)}${after}`;
    return { label, items: all.map(([, item]) => item) };
  });
};

/** The rows below a group. All its modules have the same signature, so the first one's names are everybody's. */
const childrenOf = (modules: readonly Module[]): Group[] =>
  groupNames([...modules[0]!.children].map(([name, { signature }]) => [name, signature, name] as const)).map(
    ({ label, items }) => ({
      label,
      modules: modules.flatMap(({ children }) => items.map((name) => children.get(name)!)),
    }),
  );

/** One shape for all tensors of a row: null where they differ. */
const commonShape = (leaves: readonly Leaf[]): (number | null)[] =>
  leaves[0]!.tensor.dims.map((dim, axis) =>
    leaves.every(({ tensor }) => tensor.dims[axis] === dim) ? dim : null,
  );

const holdingsOf = (modules: readonly Module[]): ModuleData['holds'] =>
  groupNames(
    modules[0]!.leaves.map(
      ({ name, tensor }, at) => [name, `${tensor.dtype} ${tensor.dims.length}`, at] as const,
    ),
  ).map(({ label, items }) => {
    const leaves = modules.flatMap((module) => items.map((at) => module.leaves[at]!));
    return { name: label, dtype: leaves[0]!.tensor.dtype, shape: commonShape(leaves) };
  });

const sharedWithOf = (modules: readonly Module[]): Pick<ModuleData, 'sharedWith'> => {
  const target = modules.length === 1 ? modules[0]!.target : null;
  return typeof target === 'string' ? { sharedWith: target } : {};
};

const total = (modules: readonly Module[], of: (module: Module) => number): number =>
  modules.reduce((sum, module) => sum + of(module), 0);

/**
 * The modules of a state dict, parents before children; the first row is the whole of it. Rows deeper than `maxDepth`
 * are left out.
 */
export const moduleTree = (
  tensors: ReadonlyMap<string, WeightTensor>,
  maxDepth = Number.POSITIVE_INFINITY,
): ModuleData[] => {
  if (tensors.size === 0) return [];
  const root = plant(tensors);
  sign(root);
  const rows: ModuleData[] = [];
  const visit = (group: Group, parent: string, depth: number): void => {
    if (depth > maxDepth) return;
    let { modules, label } = group;
    let below = childrenOf(modules);
    while (modules[0]!.leaves.length === 0 && below.length === 1) {
      label = label === '' && modules[0] === root ? below[0]!.label : `${label}.${below[0]!.label}`;
      modules = below[0]!.modules;
      below = childrenOf(modules);
    }
    const path = depth === 0 || parent === '' ? label : `${parent}.${label}`;
    rows.push({
      path,
      name: label,
      depth,
      repeats: modules.length,
      children: below.length,
      tensors: total(modules, (module) => module.tensors),
      aliases: total(modules, (module) => module.aliases),
      parameters: total(modules, (module) => module.parameters),
      bytes: total(modules, (module) => module.bytes),
      holds: holdingsOf(modules),
      ...sharedWithOf(modules),
    });
    for (const child of below) visit(child, path, depth + 1);
  };
  visit({ label: '', modules: [root] }, '', 0);
  return rows;
};
