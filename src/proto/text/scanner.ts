/**
 * The tokens of ONNX text: identifiers, quoted strings, numbers, single characters; white space and `#` comments
 * between them. In quoted strings a backslash stands for the character after it; `b"…"` is our own addition for bytes
 * that are not UTF-8, where `\xNN` is a byte.
 */
import { OrthoError } from '../../core/errors.ts';
import { quoted } from '../quote.ts';

export interface NumberToken {
  readonly text: string;
  readonly isFloat: boolean;
}

const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /-?\s*(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|(?:inf|infinity|nan)(?![A-Za-z0-9_]))/iy;
const SPACE = /(?:\s+|#[^\n]*)*/y;
const STRING = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const BYTES = /b"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;

const encoder = new TextEncoder();

export class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @throws OrthoError model/text-syntax with line and column of the current place, or of `at`. */
  fail(message: string, at = this.#at): never {
    const before = this.#text.slice(0, at);
    const line = before.split('\n').length;
    const column = at - before.lastIndexOf('\n');
    throw new OrthoError('model/text-syntax', `line ${line}:${column}: ${message}`, {
      hint: 'the syntax is that of onnx.parser: https://github.com/onnx/onnx/blob/main/docs/Syntax.md',
    });
  }

  get position(): number {
    this.#skip();
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.position >= this.#text.length;
  }

  /** The next character, '' at the end. */
  peek(): string {
    this.#skip();
    return this.#text.charAt(this.#at);
  }

  /** Whether the next characters are these; they are consumed if so. */
  matches(characters: string): boolean {
    this.#skip();
    if (!this.#text.startsWith(characters, this.#at)) return false;
    this.#at += characters.length;
    return true;
  }

  expect(characters: string): void {
    if (!this.matches(characters)) this.fail(`${quoted(characters)} expected, found ${this.#found()}`);
  }

  /** The next identifier without consuming it, '' when there is none. */
  peekIdentifier(): string {
    this.#skip();
    return this.#match(IDENTIFIER) ?? '';
  }

  optionalIdentifier(): string {
    const found = this.peekIdentifier();
    this.#at += found.length;
    return found;
  }

  identifier(what: string): string {
    return this.optionalIdentifier() || this.fail(`${what} expected, found ${this.#found()}`);
  }

  /** An identifier or a quoted string; undefined when neither follows. */
  optionalName(): string | undefined {
    return this.peek() === '"' ? this.string() : this.optionalIdentifier() || undefined;
  }

  name(what: string): string {
    return this.optionalName() ?? this.fail(`${what} expected, found ${this.#found()}`);
  }

  string(): string {
    this.#skip();
    const found =
      this.#match(STRING) ?? this.fail(`a string in double quotes expected, found ${this.#found()}`);
    this.#at += found.length;
    return found.slice(1, -1).replace(/\\([\s\S])/g, '$1');
  }

  get isBytes(): boolean {
    this.#skip();
    return this.#text.startsWith('"', this.#at) || this.#text.startsWith('b"', this.#at);
  }

  /** The bytes of a quoted string or of `b"…"`. */
  bytes(): Uint8Array {
    this.#skip();
    const found = this.#match(BYTES);
    if (found === undefined) return encoder.encode(this.string());
    this.#at += found.length;
    const parts = found.slice(2, -1).match(/\\x[0-9a-fA-F]{2}|\\[\s\S]|[\s\S]/gu) ?? [];
    return Uint8Array.from(
      parts.flatMap((part) => {
        if (/^\\x../.test(part)) return [Number.parseInt(part.slice(2), 16)];
        return [...encoder.encode(part.startsWith('\\') ? part.slice(1) : part)];
      }),
    );
  }

  optionalNumber(): NumberToken | undefined {
    this.#skip();
    const found = this.#match(NUMBER);
    if (found === undefined) return undefined;
    this.#at += found.length;
    const text = found.replace(/\s/g, '');
    return { text, isFloat: !/^-?\d+$/.test(text) };
  }

  number(): NumberToken {
    return this.optionalNumber() ?? this.fail(`a number expected, found ${this.#found()}`);
  }

  /** An integer between `low` and `high`. */
  integer(low: bigint, high: bigint): bigint {
    const { position } = this;
    const { text, isFloat } = this.number();
    if (isFloat) this.fail(`an integer expected, found ${text}`, position);
    const value = BigInt(text);
    if (value < low || value > high) this.fail(`${text} is out of range (${low} to ${high})`, position);
    return value;
  }

  int64(): bigint {
    return this.integer(-(1n << 63n), (1n << 63n) - 1n);
  }

  float(): number {
    return numberOf(this.number().text);
  }

  /** What is here, for messages. */
  #found(): string {
    if (this.isAtEnd) return 'the end';
    return quoted(this.peekIdentifier() || this.#text.charAt(this.#at));
  }

  #skip(): void {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0];
  }
}

/** The value of a number token, inf and nan included. */
export const numberOf = (text: string): number => {
  const word = text.replace('-', '').toLowerCase();
  if (word.startsWith('inf')) return text.startsWith('-') ? -Infinity : Infinity;
  return word === 'nan' ? NaN : Number(text);
};
