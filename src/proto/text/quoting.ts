/** Names and strings as ONNX text spells them. */
import { isTypeWord } from './parse-type.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A string in double quotes; quotes and backslashes get a backslash. */
export const quoteText = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** Bytes as a string, as `b"…"` when they are not UTF-8. */
export const quoteBytes = (bytes: Uint8Array): string => {
  try {
    return quoteText(strict.decode(bytes));
  } catch {
    return `b"${Array.from(bytes, byteText).join('')}"`;
  }
};

const byteText = (byte: number): string => {
  const character = String.fromCharCode(byte);
  if (byte < 0x20 || byte > 0x7e) return `\\x${byte.toString(16).padStart(2, '0')}`;
  return character === '"' || character === '\\' ? `\\${character}` : character;
};

/** A name: plain where it is an identifier that starts no type and no number. */
export const quoteName = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !isTypeWord(name) && !/^(inf|infinity|nan|b)$/i.test(name)
    ? name
    : quoteText(name);

/** A dotted name such as a domain: plain where every part is an identifier. */
export const quoteDotted = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(name) ? name : quoteText(name);
