/**
 * Makes names from untrusted files safe to print: a tensor or a file may be called anything, and a terminal
 * obeys escape sequences and direction marks wherever they come from.
 */

/**
 * C0 and C1 controls, DEL, zero-width and direction marks, line and paragraph separators, byte order mark,
 * interlinear and tag characters, lone surrogates.
 */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

const SHORT = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

const escapeCharacter = (character: string): string => {
  const code = character.codePointAt(0)!;
  const hex = code.toString(16);
  return SHORT.get(character) ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`);
};

/** The text on one line with every character that could act on a terminal spelt out (`\x1b`, `\u{202e}`, `\n`). */
export const printable = (text: string): string => text.replace(UNSAFE, escapeCharacter);
