/** Names from a file, made safe to print: quoted, control and bidi characters escaped, long ones cut. */
const LONGEST = 120;

/** Names that need no look at each character: most do not. */
const PLAIN = /^[ -~]{0,120}$/;

/** `'name'` for messages, on one line, whatever the name holds. */
export const quoted = (name: string): string => {
  if (PLAIN.test(name)) return `'${name}'`;
  const cut = name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
  const safe = cut.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `'${safe}'`;
};
