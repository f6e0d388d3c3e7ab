/**
 * What the pickles of a PyTorch file may ask for: known globals give data, unknown ones become opaque records, dangerous
 * ones refuse the file. Every global is written down with how often it was to be called; nothing is ever run.
 *
 * With `describe`, what would refuse the file is written down instead, as findings of level error.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { PickleHost, PickleMachine } from './pickle.ts';
import { isDangerous } from './pickle-danger.ts';
import { buildNumpyDType, fillNumpyArray, NumpyArray, NumpyDType } from './pickle-numpy.ts';
import { PickleGlobal, PickleObject, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import type { GlobalKind, GlobalUse, OpenOptions } from './state-dict.ts';
import { CALLS, isDataGlobal } from './torch-globals.ts';
import { RefusedTensor, type StorageRecord, TensorRecord } from './torch-tensor.ts';

interface Use {
  readonly kind: GlobalKind;
  readonly pickle: string;
  readonly byte: number;
  calls: number;
}

/** Names that one finding shows, and findings of dangerous globals. */
const MAX_SHOWN = 5;
const MAX_FINDINGS = 20;

const DANGER_HINT =
  'the file tries to run code when it is loaded; nothing of it was run here. Do not load it in Python';
const UNKNOWN_HINT =
  'nothing of it was run; load it in Python only if you trust it, and save its state_dict() alone';

/** Unpickles the objects of PyTorch files; one host serves all pickles of one file. */
export class TorchHost implements PickleHost {
  readonly #uses = new Map<string, Use>();
  /** Calls of unknown globals, none of which happened: the first of each, and where. */
  readonly #unknown = new Map<string, { readonly label: string; readonly position: number }>();
  readonly #persistent: (id: PickleValue, machine: PickleMachine) => PickleValue;
  readonly #isDescribing: boolean;
  #refusesCalls = false;

  /** `persistent` answers persistent ids, usually with a StorageRecord. */
  constructor(
    persistent: (id: PickleValue, machine: PickleMachine) => StorageRecord | PickleValue,
    { describe = false }: OpenOptions = {},
  ) {
    this.#persistent = persistent;
    this.#isDescribing = describe;
  }

  global(value: PickleGlobal, machine: PickleMachine): PickleValue {
    if (this.#uses.has(value.qualified)) return value;
    const kind = isDangerous(value) ? 'dangerous' : isDataGlobal(value) ? 'data' : 'opaque';
    this.#uses.set(value.qualified, { kind, pickle: machine.reader.label, byte: machine.at, calls: 0 });
    if (kind === 'dangerous' && !this.#isDescribing) {
      throw new OrthoError(
        'checkpoint/refused-global',
        `${machine.reader.label}: the pickle names ${JSON.stringify(textOf(value))} (byte ${machine.at}), which no weights need`,
        { hint: DANGER_HINT },
      );
    }
    return value;
  }

  #count(target: PickleGlobal): void {
    const use = this.#uses.get(target.qualified);
    if (use !== undefined) use.calls++;
  }

  create(type: PickleGlobal, args: readonly PickleValue[]): PickleValue {
    this.#count(type);
    return new PickleObject(type, args);
  }

  call(callable: PickleValue, args: readonly PickleValue[], machine: PickleMachine): PickleValue {
    let target = callable;
    let given = args;
    // (function, type, args, state): the same call, for a tensor subclass or a tensor with attributes.
    while (target instanceof PickleGlobal && target.qualified === 'torch._tensor._rebuild_from_type_v2') {
      this.#count(target);
      const [inner, , innerArgs] = given;
      if (inner === undefined || !(innerArgs instanceof PickleTuple))
        throw machine.invalid('a malformed tensor');
      target = inner;
      given = innerArgs.items;
    }
    if (!(target instanceof PickleGlobal)) throw machine.invalid('a call of something that is no function');
    this.#count(target);
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
    if (target instanceof NumpyDType) return buildNumpyDType(target, state);
    if (!(target instanceof NumpyArray) || !(state instanceof PickleTuple)) return false;
    const [, shape, type, fortran, bytes] = state.items;
    fillNumpyArray(target, shape, type, fortran === true, bytes, (message) => machine.invalid(message));
    return true;
  }

  /** Every global that was named, by name. */
  globals(): GlobalUse[] {
    return [...this.#uses]
      .map(([name, { kind, calls, pickle, byte }]) => ({
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
    const dangerous = [...this.#uses].filter(([, { kind }]) => kind === 'dangerous');
    const findings = dangerous.slice(0, MAX_FINDINGS).map(
      ([name, { pickle, byte, calls }]): Finding => ({
        level: 'error',
        rule: 'checkpoint/refused-global',
        message: `${pickle}: the pickle names ${JSON.stringify(textOf(name))} (byte ${byte}) and calls it ${calls} times; no weights need it`,
        hint: DANGER_HINT,
        at: { file: label },
      }),
    );
    if (dangerous.length > MAX_FINDINGS) {
      findings.push({
        level: 'error',
        rule: 'checkpoint/refused-global',
        message: `${dangerous.length - MAX_FINDINGS} more globals that no weights need`,
        at: { file: label },
      });
    }
    return findings;
  }

  #callFindings(label: string): Finding[] {
    const names = [...this.#unknown.keys()].filter((name) => this.#uses.get(name)?.kind !== 'dangerous');
    if (names.length === 0) return [];
    const shown = names.slice(0, MAX_SHOWN).map(textOf).join(', ');
    const text = `the pickle calls ${names.length} functions that are not on the allow-list (${shown}); none was run`;
    const at = { file: label };
    return this.#refusesCalls
      ? [{ level: 'error', rule: 'checkpoint/refused-global', message: text, hint: UNKNOWN_HINT, at }]
      : [{ level: 'warning', rule: 'unknown-call', message: text, at }];
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
      `${label}: the pickle calls ${JSON.stringify(textOf(name))} (byte ${position}), which is not on the allow-list`,
      { hint: UNKNOWN_HINT },
    );
  }
}
