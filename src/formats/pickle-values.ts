/**
 * Python values as plain data: what an unpickled object becomes here. Nothing in these classes ever runs code of the
 * pickle; a class or function that ortho does not know stays a name with the arguments it was given.
 *
 * None, bool, float and str are JS primitives; an int is a number when it is a safe integer and a bigint otherwise;
 * bytes and bytearray are Uint8Array; a list is a JS array.
 */

export type PickleValue = null | boolean | number | bigint | string | object;

export class PickleTuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** dict and its plain kin. Keys are compared as a Map does, so tuples are equal only to themselves. */
export class PickleDict {
  readonly kind: 'dict' | 'OrderedDict' | 'Counter' | 'defaultdict';
  readonly entries = new Map<PickleValue, PickleValue>();
  constructor(kind: PickleDict['kind'] = 'dict') {
    this.kind = kind;
  }
}

export class PickleSet {
  readonly items: PickleValue[] = [];
}

/** A class or function by name; never imported. */
export class PickleGlobal {
  readonly module: string;
  readonly name: string;
  /** `module.name`, kept: it is looked up at every call. */
  readonly qualified: string;
  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
    this.qualified = `${module}.${name}`;
  }
}

/** An object of a class that ortho does not know (or knows to be inert): its class, arguments, state and content. */
export class PickleObject {
  readonly type: PickleGlobal;
  readonly args: readonly PickleValue[];
  /** What BUILD gave it, usually a PickleDict of its attributes. */
  state: PickleValue | undefined;
  /** Items set on it, for subclasses of dict. */
  entries: Map<PickleValue, PickleValue> | undefined;
  /** Items appended to it, for subclasses of list and set. */
  items: PickleValue[] | undefined;

  constructor(type: PickleGlobal, args: readonly PickleValue[]) {
    this.type = type;
    this.args = args;
  }

  /** An attribute from the object's state, or undefined. */
  attribute(name: string): PickleValue | undefined {
    const { state } = this;
    if (state instanceof PickleDict) return state.entries.get(name);
    // A class with __slots__ pickles as (dict or None, slots dict).
    if (!(state instanceof PickleTuple)) return undefined;
    for (const part of state.items) {
      const found = part instanceof PickleDict ? part.entries.get(name) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Letters of a key or value that a message or path shows. */
const MAX_SHOWN = 200;

/**
 * A short text for any value, for messages and paths. Containers are only named: turning an array of the pickle into
 * text by JavaScript's own rules would follow every shared reference, which can take forever.
 */
export const textOf = (value: PickleValue | undefined): string => {
  if (value === null) return 'None';
  if (value instanceof PickleGlobal) return textOf(value.qualified);
  if (typeof value === 'object') return Array.isArray(value) ? 'list' : value.constructor.name;
  const text = String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
};

/** The values inside a container, for walkers; empty for everything that contains nothing. */
export function* childrenOf(value: PickleValue): Generator<PickleValue> {
  if (Array.isArray(value)) yield* value as PickleValue[];
  else if (value instanceof PickleTuple || value instanceof PickleSet) yield* value.items;
  else if (value instanceof PickleDict) yield* value.entries.values();
  else if (value instanceof PickleObject) {
    yield* value.args;
    if (value.state !== undefined) yield value.state;
    if (value.entries !== undefined) yield* value.entries.values();
    if (value.items !== undefined) yield* value.items;
  }
}
