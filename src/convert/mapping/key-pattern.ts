/**
 * Matches keys against patterns in bounded time: Thompson's program of a pattern run by a backtracking machine that
 * enters each (instruction, position) once (R. Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009).
 * So the first match is the one that JavaScript finds, and the work is at most instructions × length of the key.
 */
import { OrthoError } from '../../core/errors.ts';
import {
  type ParsedPattern,
  PatternError,
  type PatternNode,
  parsePattern,
  type Ranges,
} from './pattern-syntax.ts';

/** Instructions of one pattern; {n,m} repeats what it stands behind. */
export const MAX_PROGRAM = 4000;
/** Characters of a key that is matched with a pattern. */
export const MAX_KEY = 4096;

type Instruction =
  | { readonly op: 'ranges'; readonly ranges: Ranges; readonly isNegated: boolean }
  /** Goes on at `first`, and at `second` when that fails. */
  | { readonly op: 'split'; first: number; second: number }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'save'; readonly slot: number }
  | { readonly op: 'match' };

class Compiler {
  readonly program: Instruction[] = [];

  #add<I extends Instruction>(instruction: I): I {
    if (this.program.length >= MAX_PROGRAM) {
      throw new PatternError('the pattern is too complex: shorten its {n,m}', 0);
    }
    this.program.push(instruction);
    return instruction;
  }

  compile(node: PatternNode): void {
    switch (node.kind) {
      case 'literal':
        this.#add({ op: 'ranges', ranges: [[node.codePoint, node.codePoint]], isNegated: false });
        break;
      case 'class':
        this.#add({ op: 'ranges', ranges: node.ranges, isNegated: node.isNegated });
        break;
      case 'sequence':
        for (const item of node.items) this.compile(item);
        break;
      case 'choice':
        this.#choice(node.options);
        break;
      case 'group':
        if (node.index !== undefined) this.#add({ op: 'save', slot: 2 * node.index });
        this.compile(node.body);
        if (node.index !== undefined) this.#add({ op: 'save', slot: 2 * node.index + 1 });
        break;
      case 'repeat':
        for (let i = 0; i < node.min; i++) this.compile(node.body);
        if (node.max === Infinity) this.#loop(node.body, node.isLazy);
        else this.#optional(node.body, node.max - node.min, node.isLazy);
    }
  }

  #choice(options: readonly PatternNode[]): void {
    const exits: { to: number }[] = [];
    options.forEach((option, i) => {
      const isLast = i === options.length - 1;
      const split = isLast
        ? undefined
        : this.#add({ op: 'split', first: this.program.length + 1, second: 0 });
      this.compile(option);
      if (split === undefined) return;
      exits.push(this.#add({ op: 'jump', to: 0 }));
      split.second = this.program.length;
    });
    for (const exit of exits) exit.to = this.program.length;
  }

  #split(isLazy: boolean): { into: (at: number) => void; past: (at: number) => void } {
    const split = this.#add({ op: 'split', first: 0, second: 0 });
    const [into, past] = isLazy ? (['second', 'first'] as const) : (['first', 'second'] as const);
    return {
      into: (at) => {
        split[into] = at;
      },
      past: (at) => {
        split[past] = at;
      },
    };
  }

  #loop(body: PatternNode, isLazy: boolean): void {
    const start = this.program.length;
    const { into, past } = this.#split(isLazy);
    into(this.program.length);
    this.compile(body);
    this.#add({ op: 'jump', to: start });
    past(this.program.length);
  }

  #optional(body: PatternNode, times: number, isLazy: boolean): void {
    const exits: ((at: number) => void)[] = [];
    for (let i = 0; i < times; i++) {
      const { into, past } = this.#split(isLazy);
      into(this.program.length);
      this.compile(body);
      exits.push(past);
    }
    for (const past of exits) past(this.program.length);
  }
}

const isIn = (code: number, ranges: Ranges): boolean =>
  ranges.some(([from, to]) => code >= from && code <= to);

/** The literal characters that a fitting key begins with. */
const prefixOf = (node: PatternNode): string => {
  if (node.kind === 'literal') return String.fromCodePoint(node.codePoint);
  if (node.kind !== 'sequence') return '';
  const end = node.items.findIndex(({ kind }) => kind !== 'literal');
  return node.items
    .slice(0, end < 0 ? undefined : end)
    .map(prefixOf)
    .join('');
};

/** What the capturing groups of a pattern hold, from group 1 on; '' where one took no part. */
export type Captures = readonly string[];

export class KeyPattern {
  readonly source: string;
  readonly parsed: ParsedPattern;
  readonly #program: readonly Instruction[];
  readonly #prefix: string;

  /** @throws PatternError */
  constructor(source: string) {
    this.source = source;
    this.parsed = parsePattern(source);
    this.#prefix = prefixOf(this.parsed.root);
    const compiler = new Compiler();
    compiler.compile(this.parsed.root);
    this.#program = [...compiler.program, { op: 'match' }];
  }

  /**
   * The captures when the pattern fits the whole key, undefined otherwise.
   * @throws OrthoError file/limit for keys beyond MAX_KEY characters that the pattern may fit
   */
  match(key: string): Captures | undefined {
    if (!key.startsWith(this.#prefix)) return undefined;
    if (key.length > MAX_KEY) {
      throw new OrthoError(
        'file/limit',
        `a key of ${key.length} characters (at most ${MAX_KEY} for patterns)`,
        {
          hint: 'rename or drop it with a table, a prefix or a glob',
        },
      );
    }
    return this.#run(
      Array.from(key, (character) => character.codePointAt(0)!),
      key,
    );
  }

  #run(codes: readonly number[], key: string): Captures | undefined {
    const program = this.#program;
    const width = codes.length + 1;
    const seen = new Uint8Array(program.length * width);
    const slots: number[] = new Array(2 * this.parsed.groups.length + 2).fill(-1);
    // Pairs: an instruction and a position; or, to undo a capture, a slot (as −1 − slot) and what it held.
    const stack = [0, 0];
    while (stack.length > 0) {
      let at = stack.pop()!;
      let pc = stack.pop()!;
      if (pc < 0) {
        slots[-1 - pc] = at;
        continue;
      }
      while (seen[pc * width + at] === 0) {
        seen[pc * width + at] = 1;
        const instruction = program[pc]!;
        if (instruction.op === 'ranges') {
          if (at === codes.length || isIn(codes[at]!, instruction.ranges) === instruction.isNegated) break;
          pc++;
          at++;
        } else if (instruction.op === 'split') {
          stack.push(instruction.second, at);
          pc = instruction.first;
        } else if (instruction.op === 'jump') pc = instruction.to;
        else if (instruction.op === 'save') {
          stack.push(-1 - instruction.slot, slots[instruction.slot]!);
          slots[instruction.slot] = at;
          pc++;
        } else if (at === codes.length) return this.#captures(codes, slots, key);
        else break;
      }
    }
    return undefined;
  }

  #captures(codes: readonly number[], slots: readonly number[], key: string): Captures {
    const isPlain = codes.length === key.length;
    return this.parsed.groups.map((_, i) => {
      const from = slots[2 * i + 2]!;
      const to = slots[2 * i + 3]!;
      if (from < 0 || to < 0) return '';
      return isPlain ? key.slice(from, to) : String.fromCodePoint(...codes.slice(from, to));
    });
  }
}
