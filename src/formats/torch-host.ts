/**
 * What the pickles of a PyTorch file may ask for: known globals give data, unknown ones become opaque records, dangerous
 * ones refuse the file. Every global is written down with how often it was to be called; nothing is ever run.
 *
 * With `describe`, what would refuse the file is written down instead, as findings of level error.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { PickleBudget, PickleHost, PickleMachine } from './pickle.ts';
import { binderOf, isDangerous } from './pickle-danger.ts';
import { buildNumpyDType, fillNumpyArray, NumpyArray, NumpyDType } from './pickle-numpy.ts';
import { PickleGlobal, PickleObject, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import type { GlobalKind, GlobalUse, OpenOptions, WeightFile } from './state-dict.ts';
import { CALLS, isDataGlobal, REBUILD_FROM_TYPE } from './torch-globals.ts';
import { ConvertedTensor, RefusedTensor, type StorageRecord, TensorRecord } from './torch-tensor.ts';

interface Use {
  readonly name: string;
  kind: GlobalKind;
  readonly pickle: string;
  readonly byte: number;
  calls: number;
}

/** From harmless to worst. */
const KINDS: readonly GlobalKind[] = ['data', 'opaque', 'dangerous'];
/** Different globals of one file; large pickled models have a few hundred, TorchScript archives some thousands. */
const MAX_GLOBALS = 50_000;
/** Calls inside one another that rebuild one tensor: a subclass of a subclass has two. */
const MAX_REBUILDS = 8;
/** What judging the arguments of getattr and partial is worth, in bytes; real models have a few hundred of them. */
const BINDER_COST = 1000;
/** Names that one finding shows, and findings of dangerous globals. */
const MAX_SHOWN = 5;
const MAX_FINDINGS = 20;

const DANGER_HINT =
  'the file tries to run code when it is loaded; nothing of it was run here. Do not load it in Python';
/** Global names are shown as JSON, so that what hides in them is seen. */
const quoted = (name: string): string =>
  JSON.stringify(textOf(name)).replace(
    /[^\x20-\x7e]/gu,
    (letter) => `\\u{${letter.codePointAt(0)!.toString(16)}}`,
  );

const UNKNOWN_HINT =
  'nothing of it was run; load it in Python only if you trust it, and save its state_dict() alone';

/** Unpickles the objects of PyTorch files; one host serves all pickles of one file. */
export class TorchHost implements PickleHost {
  readonly budget: PickleBudget;
  /** By module and name: where the dot between them stands decides what Python would look up. */
  readonly #globals = new Map<string, PickleGlobal>();
  readonly #uses = new Map<PickleGlobal, Use>();
  /** Calls of unknown globals, none of which happened: the first of each, and where. */
  readonly #unknown = new Map<string, { readonly label: string; readonly position: number }>();
  /** What else was refused, with its place. */
  readonly #refused: string[] = [];
  readonly #persistent: (id: PickleValue, machine: PickleMachine) => PickleValue;
  readonly #isDescribing: boolean;
  #refusesCalls = false;

  /** `persistent` answers persistent ids, usually with a StorageRecord; `budget` may be shared with other hosts. */
  constructor(
    persistent: (id: PickleValue, machine: PickleMachine) => StorageRecord | PickleValue,
    { describe = false }: OpenOptions,
    budget: PickleBudget,
  ) {
    this.#persistent = persistent;
    this.budget = budget;
    this.#isDescribing = describe;
  }

  global(value: PickleGlobal, machine: PickleMachine): PickleValue {
    const key = `${value.module}\0${value.name}`;
    const known = this.#globals.get(key);
    if (known !== undefined) return known;
    machine.charge(400);
    if (this.#uses.size >= MAX_GLOBALS) throw machine.limit(`more than ${MAX_GLOBALS} different globals`);
    const isBad = binderOf(value) === undefined && isDangerous(value);
    const kind = isDataGlobal(value) ? 'data' : isBad ? 'dangerous' : 'opaque';
    const name = value.qualified;
    this.#globals.set(key, value);
    this.#uses.set(value, { name, kind, pickle: machine.reader.label, byte: machine.at, calls: 0 });
    if (kind === 'dangerous') this.#refuseGlobal('names', name, machine);
    return value;
  }

  /** @throws OrthoError checkpoint/refused-global unless the file is only described */
  #refuseGlobal(what: string, name: string, machine: PickleMachine): void {
    if (this.#isDescribing) return;
    throw new OrthoError(
      'checkpoint/refused-global',
      `${machine.reader.label}: the pickle ${what} ${quoted(name)} (byte ${machine.at}), which no weights need`,
      { hint: DANGER_HINT },
    );
  }

  refuse(what: string, machine: PickleMachine): PickleValue {
    const message = `${machine.reader.label}: ${what}, at byte ${machine.at}`;
    if (!this.#isDescribing) {
      throw new OrthoError('checkpoint/refused-global', message, {
        hint: 'PyTorch never writes this; nothing of the file was run',
      });
    }
    if (this.#refused.length < MAX_FINDINGS) this.#refused.push(message);
    return new PickleObject(new PickleGlobal('', what), []);
  }

  #count(target: PickleGlobal, args: readonly PickleValue[], machine: PickleMachine): void {
    const use = this.#uses.get(target);
    if (use === undefined) return;
    use.calls++;
    const binder = binderOf(target);
    if (binder === undefined) return;
    machine.charge(BINDER_COST);
    if (binder(args)) return;
    use.kind = 'dangerous';
    this.#refuseGlobal('calls', target.qualified, machine);
  }

  create(type: PickleGlobal, args: readonly PickleValue[], machine: PickleMachine): PickleValue {
    this.#count(type, args, machine);
    return new PickleObject(type, args);
  }

  call(callable: PickleValue, args: readonly PickleValue[], machine: PickleMachine): PickleValue {
    let target = callable;
    let given = args;
    for (let depth = 0; target instanceof PickleGlobal && REBUILD_FROM_TYPE.has(target.qualified); depth++) {
      if (depth === MAX_REBUILDS)
        throw machine.invalid(`a tensor that is rebuilt ${MAX_REBUILDS} times over`);
      this.#count(target, given, machine);
      const [inner, , innerArgs] = given;
      if (inner === undefined || !(innerArgs instanceof PickleTuple))
        throw machine.invalid('a malformed tensor');
      target = inner;
      given = innerArgs.items;
    }
    if (!(target instanceof PickleGlobal))
      return this.refuse('a call of something that is no function', machine);
    this.#count(target, given, machine);
    const known = CALLS.get(target.qualified);
    if (known !== undefined) return known(given, machine);
    if (!this.#unknown.has(target.qualified)) {
      this.#unknown.set(target.qualified, { label: machine.reader.label, position: machine.at });
    }
    return new PickleObject(target, given);
  }

  persistent(id: PickleValue, machine: PickleMachine): PickleValue {
    return this.#persistent(id, machine);
  }

  build(target: PickleValue, state: PickleValue, machine: PickleMachine): boolean {
    // A parameter's or subclass's attributes do not change its values.
    if (target instanceof TensorRecord || target instanceof RefusedTensor) return true;
    if (target instanceof ConvertedTensor) return true;
    if (target instanceof NumpyDType) return buildNumpyDType(target, state);
    if (!(target instanceof NumpyArray) || !(state instanceof PickleTuple)) return false;
    const [, shape, type, fortran, bytes] = state.items;
    fillNumpyArray(target, shape, type, fortran === true, bytes, (message) => machine.invalid(message));
    return true;
  }

  /** Every global that was named, by name. Two that only differ in their dots are listed as the worse one. */
  globals(): GlobalUse[] {
    const listed = new Map<string, Use>();
    for (const use of this.#uses.values()) {
      const other = listed.get(use.name);
      const isWorse = other === undefined || KINDS.indexOf(use.kind) > KINDS.indexOf(other.kind);
      listed.set(use.name, { ...(isWorse ? use : other), calls: use.calls + (other?.calls ?? 0) });
    }
    return [...listed.values()]
      .map(({ name, kind, calls, pickle, byte }) => ({
        name,
        kind,
        calls,
        ...(kind === 'dangerous' ? { first: { pickle, byte } } : {}),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Findings about globals and calls that were written down and not followed; empty without any. */
  findings(label: string): Finding[] {
    return [...this.#dangerFindings(label), ...this.#callFindings(label)];
  }

  #dangerFindings(label: string): Finding[] {
    const dangerous = this.globals().filter(({ kind }) => kind === 'dangerous');
    const messages = [
      ...dangerous
        .slice(0, MAX_FINDINGS)
        .map(
          ({ name, calls, first }) =>
            `${first?.pickle}: the pickle names ${quoted(name)} (byte ${first?.byte}) and calls it ${calls} times; no weights need it`,
        ),
      ...(dangerous.length > MAX_FINDINGS
        ? [`${dangerous.length - MAX_FINDINGS} more globals that no weights need`]
        : []),
      ...this.#refused,
    ];
    return messages.map((message) => ({
      level: 'error',
      rule: 'checkpoint/refused-global',
      message,
      hint: DANGER_HINT,
      at: { file: label },
    }));
  }

  #callFindings(label: string): Finding[] {
    const bad = new Set(this.globals().flatMap(({ name, kind }) => (kind === 'dangerous' ? [name] : [])));
    const names = [...this.#unknown.keys()].filter((name) => !bad.has(name));
    if (names.length === 0) return [];
    const shown = names.slice(0, MAX_SHOWN).map(textOf).join(', ');
    const text = `the pickle calls ${names.length} functions that are not on the allow-list (${shown}); none was run`;
    const at = { file: label };
    return this.#refusesCalls
      ? [{ level: 'error', rule: 'checkpoint/refused-global', message: text, hint: UNKNOWN_HINT, at }]
      : [{ level: 'warning', rule: 'unknown-call', message: text, at }];
  }

  /**
   * What `read` gives. With `describe`, a file whose pickles were to be refused is described even where it turns out to be
   * damaged: attacks seldom bother to be whole.
   * @throws what `read` throws
   */
  reading<T extends Omit<WeightFile, 'close'>>(
    format: WeightFile['format'],
    label: string,
    read: () => T,
  ): T | Omit<WeightFile, 'close'> {
    try {
      return read();
    } catch (error) {
      const isRefused = this.#refused.length > 0 || this.globals().some(({ kind }) => kind === 'dangerous');
      if (!this.#isDescribing || !isRefused || !(error instanceof OrthoError)) throw error;
      const { code: rule, message } = error;
      return {
        format,
        stateDicts: [],
        globals: this.globals(),
        metadata: new Map(),
        findings: [...this.findings(label), { level: 'error', rule, message, at: { file: label } }],
      };
    }
  }

  /**
   * Refuses the file when an unknown function was to be called (with `describe`: makes that an error finding). For
   * files without a pickled module, where nothing but known functions has a reason to be called.
   * @throws OrthoError checkpoint/refused-global
   */
  refuseCalls(): void {
    this.#refusesCalls = true;
    const [first] = this.#unknown;
    if (first === undefined || this.#isDescribing) return;
    const [name, { label, position }] = first;
    throw new OrthoError(
      'checkpoint/refused-global',
      `${label}: the pickle calls ${quoted(name)} (byte ${position}), which is not on the allow-list`,
      { hint: UNKNOWN_HINT },
    );
  }
}
