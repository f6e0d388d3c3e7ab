/** Rules about names: what may hide in them. Emptiness is judged where a name is needed. */
import { quoted } from '../proto/quote.ts';
import type { FindingList } from './check-context.ts';

/** C0, DEL and C1 controls but NUL. */
const CONTROL = /[\u0001-\u001f\u007f-\u009f]/;
/** Direction marks, zero-width and other characters that show nothing or turn text around. */
const HIDDEN = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/;
/** Cheap first test: most names are plain. */
const PLAIN = /^[\w./:\-[\]()<>@$#,;=+*|~%&!?'"`{}\\^]*$/;

/**
 * Reports characters that a reader does not see or a terminal obeys.
 * @param what what has the name: `value name`, `node name`
 */
export const checkName = (findings: FindingList, what: string, name: string | undefined): void => {
  if (name === undefined || PLAIN.test(name)) return;
  const report = (rule: string, holds: string): void =>
    findings.warning(rule, () => `${what} holds ${holds}: ${quoted(name)}`, { value: name });
  if (name.includes('\0')) report('name-nul', 'a NUL');
  if (CONTROL.test(name)) report('name-control-characters', 'control characters');
  if (HIDDEN.test(name)) {
    const both = CONTROL.test(name) ? 'invisible' : 'invisible or bidirectional control';
    report('name-hidden-characters', `${both} characters`);
  }
  if (name.trim() !== name) {
    findings.note('name-whitespace', () => `${what} begins or ends with white space: ${quoted(name)}`, {
      value: name,
    });
  }
};
