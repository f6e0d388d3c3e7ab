/**
 * The pickle machine: runs pickle opcodes (protocols 1 to 5) over plain data and never over code.
 *
 * One table gives each opcode its step; a loop drives it, so nesting costs no call stack. Everything the pickle could
 * reach outside itself goes through a PickleHost, which answers from its own tables. Limits, all checked before the
 * allocation they guard: file offsets (PickleReader), stack and mark depth, and an estimate of the memory that the
 * objects take (MAX_MEMORY).
 */
import { OrthoError } from '../core/errors.ts';
import type { PickleReader } from './pickle-reader.ts';
import {
  PickleDict,
  PickleGlobal,
  PickleObject,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from './pickle-values.ts';

/** Estimated bytes that the objects of one file's pickles may take; a checkpoint of 100,000 tensors needs nearly all. */
const MAX_MEMORY = 256 * 1024 * 1024;
/**
 * What a file may take whatever its size, and for each of its bytes: real pickles need ten bytes for one of theirs, and
 * few are compressed.
 */
const FREE_MEMORY = 24 * 1024 * 1024;
const MAX_MEMORY_RATIO = 24;
/** What the first item costs a list, and a record that is also a dict: JavaScript makes room for more. */
const FIRST_ITEM = 160;
const FIRST_ENTRY = 200;
/** An empty dict, and its place in what walks through it. */
const DICT_BYTES = 272;
/** Values on the stack: a tuple of a million items is the largest that real writers produce. */
const MAX_STACK = 1_000_000;
/** Open marks: nested containers. Python's own pickler stops at about a thousand levels. */
const MAX_MARKS = 10_000;
/** Bytes of a LONG1/LONG4 integer: 2^8192 is far beyond any count, seed or size. */
const MAX_LONG = 1024;
/** Digits of an integer in a line of text. */
const MAX_DIGITS = 2500;
/** Opcodes of one file's pickles; a checkpoint of 100,000 tensors has six million. */
const MAX_OPCODES = 16_000_000;
/** Bytes of a module or class name. */
const MAX_NAME = 4096;

/** What the pickles of one file may take together: opcodes, and the estimated memory of their objects. */
export class PickleBudget {
  readonly #maxMemory: number;
  #memory = 0;
  #opcodes = 0;

  /** For the pickles of a file, or part of one, of `bytes` on the disk; never more than `maxMemory`. */
  constructor(bytes: number, maxMemory: number = MAX_MEMORY) {
    this.#maxMemory = Math.min(maxMemory, FREE_MEMORY + MAX_MEMORY_RATIO * bytes);
  }

  /** Accounts for an allocation of about `bytes` by the pickle `label`. @throws OrthoError file/limit */
  charge(bytes: number, label: string): void {
    this.#memory += bytes;
    if (this.#memory <= this.#maxMemory) return;
    throw new OrthoError(
      'file/limit',
      `${label}: its objects need more than ${Math.floor(this.#maxMemory / 1048576)} MB of memory`,
      { hint: 'weights belong into storages; a state dict saved by torch.save stays far below this limit' },
    );
  }

  /** Accounts for an opcode; false when there were too many. */
  step(): boolean {
    return this.#opcodes++ < MAX_OPCODES;
  }
}

/** What a pickle may ask of its surroundings. */
export interface PickleHost {
  /** Shared by all pickles of one file. */
  readonly budget: PickleBudget;
  /** Called for every GLOBAL; may throw checkpoint/refused-global for names that are never acceptable. */
  global(value: PickleGlobal, machine: PickleMachine): PickleValue;
  /** NEWOBJ: an object of a class, as data. */
  create(type: PickleGlobal, args: readonly PickleValue[], machine: PickleMachine): PickleValue;
  /** REDUCE, and OBJ and INST with arguments: the call's result, as data. */
  call(callable: PickleValue, args: readonly PickleValue[], machine: PickleMachine): PickleValue;
  /** An opcode that reaches outside the pickle: throws checkpoint/refused-global, or gives a record of it. */
  refuse(what: string, machine: PickleMachine): PickleValue;
  /** Whether REDUCE may give this callable one argument without a tuple around it; nothing may where this is absent. */
  takesBareArgument?(callable: PickleValue): boolean;
  /** BINPERSID. */
  persistent(id: PickleValue, machine: PickleMachine): PickleValue;
  /** BUILD on anything but a PickleObject or a dict; false when the value takes no state. */
  build(target: PickleValue, state: PickleValue, machine: PickleMachine): boolean;
}

export class PickleMachine {
  readonly reader: PickleReader;
  readonly host: PickleHost;
  readonly stack: PickleValue[] = [];
  /** Where the opcode that is being run begins. */
  at = 0;
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #budget: PickleBudget;

  constructor(reader: PickleReader, host: PickleHost) {
    this.reader = reader;
    this.host = host;
    this.#budget = host.budget;
  }

  invalid(message: string): OrthoError {
    return this.reader.invalid(message);
  }

  /** Accounts for an allocation of about `bytes`. @throws OrthoError file/limit */
  charge(bytes: number): void {
    this.#budget.charge(bytes, this.reader.label);
  }

  push(value: PickleValue): void {
    if (this.stack.length >= MAX_STACK) throw this.limit(`more than ${MAX_STACK} values on the stack`);
    this.stack.push(value);
  }

  limit(message: string): OrthoError {
    return new OrthoError('file/limit', `${this.reader.label}: ${message} at byte ${this.reader.position}`, {
      hint: 'no checkpoint writer does this; the file is hostile or damaged',
    });
  }

  mark(): void {
    if (this.#marks.length >= MAX_MARKS) throw this.limit(`more than ${MAX_MARKS} nested marks`);
    this.#marks.push(this.stack.length);
  }

  /** Takes the value on top; values below the last mark are out of reach. */
  pop(): PickleValue {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.stack.length <= floor) throw this.invalid('the stack is empty');
    return this.stack.pop() as PickleValue;
  }

  top(): PickleValue {
    const floor = this.#marks.at(-1) ?? 0;
    const value = this.stack.at(-1);
    if (value === undefined || this.stack.length <= floor) throw this.invalid('the stack is empty');
    return value;
  }

  /** Takes everything above the last mark, and the mark. */
  popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.invalid('no mark on the stack');
    return this.stack.splice(mark);
  }

  /** POP: the value on top, or the mark if nothing lies above it. */
  drop(): void {
    if (this.#marks.length > 0 && this.#marks.at(-1) === this.stack.length) this.#marks.pop();
    else this.pop();
  }

  remember(index: number): void {
    if (!this.#memo.has(index)) this.charge(72);
    this.#memo.set(index, this.top());
  }
  memoize(): void {
    this.remember(this.#memo.size);
  }
  recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.invalid(`memo ${index} was never stored`);
    this.push(value);
  }

  string(text: string): void {
    this.charge(32 + 2 * text.length);
    this.push(text);
  }
  bytes(length: number): void {
    this.reader.checkLeft(length);
    this.charge(128 + length);
    this.push(this.reader.bytes(length));
  }
  tuple(items: PickleValue[]): void {
    this.charge(96 + 8 * items.length);
    this.push(new PickleTuple(items));
  }
  object(type: PickleValue, args: readonly PickleValue[]): void {
    if (!(type instanceof PickleGlobal)) throw this.invalid('an object without a class');
    this.charge(160);
    this.push(this.host.create(type, args, this));
  }
  global(module: string, name: string): void {
    this.charge(96 + 2 * (module.length + name.length));
    this.push(this.host.global(new PickleGlobal(module, name), this));
  }
  call(callable: PickleValue, args: readonly PickleValue[]): void {
    this.charge(200);
    this.push(this.host.call(callable, args, this));
  }

  setItems(target: PickleValue, items: readonly PickleValue[]): void {
    if (items.length % 2 !== 0) throw this.invalid('a key without a value');
    this.charge(32 * items.length);
    let map: Map<PickleValue, PickleValue>;
    if (target instanceof PickleDict) map = target.entries;
    else if (target instanceof PickleObject) {
      if (target.entries === undefined) this.charge(FIRST_ENTRY);
      map = target.entries ??= new Map();
    } else throw this.invalid('items set on something that is no dict');
    for (let i = 0; i < items.length; i += 2) map.set(items[i] as PickleValue, items[i + 1] as PickleValue);
  }

  append(target: PickleValue, items: readonly PickleValue[]): void {
    let list: PickleValue[];
    if (Array.isArray(target)) list = target as PickleValue[];
    else if (target instanceof PickleSet) list = target.items;
    else if (target instanceof PickleObject) list = target.items ??= [];
    else throw this.invalid('items appended to something that is no list');
    this.charge((list.length === 0 ? FIRST_ITEM : 0) + 12 * items.length);
    for (const item of items) list.push(item);
  }

  build(state: PickleValue): void {
    const target = this.top();
    if (target instanceof PickleObject) target.state = state;
    // An OrderedDict's own attributes (_metadata of a state dict) say nothing about its tensors.
    else if (!(target instanceof PickleDict) && !this.host.build(target, state, this)) {
      throw this.invalid('state for something that takes none');
    }
  }
}

const argsOf = (machine: PickleMachine, value: PickleValue): readonly PickleValue[] => {
  if (!(value instanceof PickleTuple)) throw machine.invalid('arguments that are no tuple');
  return value.items;
};

/** Something that PyTorch never writes and that reaches outside the pickle; its operand is read past. */
const refused =
  (what: string, skip: (machine: PickleMachine) => unknown = () => undefined): Step =>
  (machine) => {
    skip(machine);
    machine.push(machine.host.refuse(what, machine));
  };

type Step = (machine: PickleMachine) => void;

/** Every opcode by its byte; STOP is handled by the loop. */
const STEPS: ReadonlyMap<number, Step> = new Map<number, Step>([
  // Frames, stack and memo.
  [0x80, (m) => checkProtocol(m)],
  [0x95, (m) => m.reader.checkLeft(m.reader.length64())],
  [0x28, (m) => m.mark()],
  [0x30, (m) => m.drop()],
  [0x31, (m) => void m.popMark()],
  [0x32, (m) => m.push(m.top())],
  [0x71, (m) => m.remember(m.reader.uint8())],
  [0x72, (m) => m.remember(m.reader.uint32())],
  [0x94, (m) => m.memoize()],
  [0x68, (m) => m.recall(m.reader.uint8())],
  [0x6a, (m) => m.recall(m.reader.uint32())],
  // Constants and numbers.
  [0x4e, (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [0x4a, (m) => m.push(m.reader.int32())],
  [0x4b, (m) => m.push(m.reader.uint8())],
  [0x4d, (m) => m.push(m.reader.uint16())],
  [0x8a, (m) => pushLong(m, m.reader.uint8())],
  [0x8b, (m) => pushLong(m, m.reader.int32())],
  [0x47, (m) => pushCharged(m, 16, m.reader.float64())],
  // Protocol 1 writes integers and truth values as lines of text.
  [0x49, (m) => pushInt(m, m.reader.line(MAX_DIGITS))],
  [0x4c, (m) => pushInt(m, m.reader.line(MAX_DIGITS).replace(/L$/, ''))],
  // Text and bytes. The strings of Python 2 (BINSTRING) are read as Latin-1.
  [0x58, (m) => m.string(checkedText(m, m.reader.uint32()))],
  [0x8c, (m) => m.string(m.reader.utf8(m.reader.uint8()))],
  [0x8d, (m) => m.string(checkedText(m, m.reader.length64()))],
  [0x54, (m) => m.string(checkedLatin1(m, m.reader.int32()))],
  [0x55, (m) => m.string(m.reader.latin1(m.reader.uint8()))],
  [0x42, (m) => m.bytes(m.reader.uint32())],
  [0x43, (m) => m.bytes(m.reader.uint8())],
  [0x8e, (m) => m.bytes(m.reader.length64())],
  [0x96, (m) => m.bytes(m.reader.length64())],
  // Tuples, lists, dicts, sets.
  [0x29, (m) => m.tuple([])],
  [0x74, (m) => m.tuple(m.popMark())],
  [0x85, (m) => m.tuple([m.pop()])],
  [0x86, (m) => m.tuple([m.pop(), m.pop()].reverse())],
  [0x87, (m) => m.tuple([m.pop(), m.pop(), m.pop()].reverse())],
  [0x5d, (m) => pushCharged(m, 80, [])],
  [0x6c, (m) => pushList(m, m.popMark())],
  [0x61, (m) => appendTop(m, [m.pop()])],
  [0x65, (m) => appendTop(m, m.popMark())],
  [0x7d, (m) => pushCharged(m, DICT_BYTES, new PickleDict())],
  [0x64, (m) => pushDict(m, m.popMark())],
  [0x73, (m) => setTop(m, [m.pop(), m.pop()].reverse())],
  [0x75, (m) => setTop(m, m.popMark())],
  [0x8f, (m) => pushCharged(m, 128, new PickleSet())],
  [0x90, (m) => appendTop(m, m.popMark())],
  [0x91, (m) => pushSet(m, m.popMark())],
  // Names, objects, storages.
  [0x63, (m) => m.global(m.reader.line(MAX_NAME), m.reader.line(MAX_NAME))],
  [0x93, (m) => stackGlobal(m)],
  [0x52, (m) => reduce(m)],
  [0x62, (m) => m.build(m.pop())],
  [0x81, (m) => newObject(m)],
  [0x92, (m) => newObjectEx(m)],
  [0x6f, (m) => callMarked(m)],
  [0x69, (m) => callNamed(m)],
  [0x51, (m) => m.push(m.host.persistent(m.pop(), m))],
  // Never written by PyTorch.
  [0x50, refused('a textual persistent id', (m) => m.reader.line(MAX_NAME))],
  [0x82, refused('an object of the copyreg extension registry', (m) => m.reader.uint8())],
  [0x83, refused('an object of the copyreg extension registry', (m) => m.reader.uint16())],
  [0x84, refused('an object of the copyreg extension registry', (m) => m.reader.uint32())],
  [0x97, refused('an out-of-band buffer')],
  [0x98, refused('an out-of-band buffer', (m) => m.pop())],
]);

const checkProtocol = (m: PickleMachine): void => {
  const version = m.reader.uint8();
  if (version < 1 || version > 5) throw m.invalid(`pickle protocol ${version} (1 to 5 are known)`);
};
const pushInt = (m: PickleMachine, text: string): void => {
  if (text === '00' || text === '01') {
    m.push(text === '01');
    return;
  }
  if (!/^-?\d+$/.test(text)) throw m.invalid(`an integer that is written ${JSON.stringify(text)}`);
  const value = BigInt(text);
  m.charge(text.length);
  m.push(value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value);
};
const pushLong = (m: PickleMachine, length: number): void => {
  if (length < 0 || length > MAX_LONG) throw m.invalid(`an integer of ${length} bytes`);
  m.charge(24 + length);
  m.push(m.reader.integer(length));
};
// Charged before decoding: a long string exists twice while it is decoded.
const checkedText = (m: PickleMachine, length: number): string => {
  m.reader.checkLeft(length);
  m.charge(length);
  return m.reader.utf8(length);
};
const checkedLatin1 = (m: PickleMachine, length: number): string => {
  if (length < 0) throw m.invalid(`a string of ${length} bytes`);
  m.reader.checkLeft(length);
  m.charge(length);
  return m.reader.latin1(length);
};
const pushCharged = (m: PickleMachine, bytes: number, value: PickleValue): void => {
  m.charge(bytes);
  m.push(value);
};
const pushList = (m: PickleMachine, items: PickleValue[]): void =>
  pushCharged(m, 64 + 8 * items.length, items);
const pushDict = (m: PickleMachine, items: PickleValue[]): void => {
  const dict = new PickleDict();
  m.charge(DICT_BYTES);
  m.setItems(dict, items);
  m.push(dict);
};
const pushSet = (m: PickleMachine, items: PickleValue[]): void => {
  const set = new PickleSet();
  m.charge(128);
  m.append(set, items);
  m.push(set);
};
const appendTop = (m: PickleMachine, items: PickleValue[]): void => m.append(m.top(), items);
const setTop = (m: PickleMachine, items: PickleValue[]): void => m.setItems(m.top(), items);
const stackGlobal = (m: PickleMachine): void => {
  const name = m.pop();
  const module = m.pop();
  if (typeof name !== 'string' || typeof module !== 'string')
    throw m.invalid('a global whose name is no string');
  if (name.length + module.length > MAX_NAME) throw m.invalid(`a name longer than ${MAX_NAME} letters`);
  m.global(module, name);
};
const reduce = (m: PickleMachine): void => {
  const args = m.pop();
  const callable = m.pop();
  const isBare = !(args instanceof PickleTuple) && m.host.takesBareArgument?.(callable) === true;
  m.call(callable, isBare ? [args] : argsOf(m, args));
};
const newObject = (m: PickleMachine): void => {
  const args = argsOf(m, m.pop());
  m.object(m.pop(), args);
};
const newObjectEx = (m: PickleMachine): void => {
  const keywords = m.pop();
  const args = argsOf(m, m.pop());
  m.object(m.pop(), [...args, keywords]);
};
const callMarked = (m: PickleMachine): void => {
  const [callable, ...args] = m.popMark();
  if (callable === undefined) throw m.invalid('an object without a class');
  m.call(callable, args);
};
const callNamed = (m: PickleMachine): void => {
  m.global(m.reader.line(MAX_NAME), m.reader.line(MAX_NAME));
  const callable = m.pop();
  m.call(callable, m.popMark());
};

/**
 * Runs one pickle from the reader's position up to and with its STOP and returns the object.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global or file/limit
 */
export const unpickle = (reader: PickleReader, host: PickleHost): PickleValue => {
  const machine = new PickleMachine(reader, host);
  for (;;) {
    machine.at = reader.position;
    if (!host.budget.step()) throw machine.limit(`more than ${MAX_OPCODES} opcodes`);
    const opcode = reader.uint8();
    if (opcode === 0x2e) {
      const value = machine.pop();
      if (machine.stack.length > 0) throw machine.invalid(`${machine.stack.length} values left over`);
      return value;
    }
    const step = STEPS.get(opcode);
    if (step === undefined) {
      reader.position -= 1;
      throw machine.invalid(`unknown pickle opcode 0x${opcode.toString(16).padStart(2, '0')}`);
    }
    step(machine);
  }
};
