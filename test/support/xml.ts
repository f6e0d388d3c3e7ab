/** Is a text well-formed XML? Enough for what the project writes: elements, attributes, text, the five entities. */
const NAME = '[A-Za-z_][\\w.:-]*';
const TOKEN = new RegExp(`<(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/?)>|</(${NAME})\\s*>|([^<]+)`, 'y');
const ENTITY = /&(?!(amp|lt|gt|quot|apos);)/;
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u;

export interface XmlFacts {
  readonly root: string;
  /** Names of elements, with how often they occur. */
  readonly elements: ReadonlyMap<string, number>;
  readonly ids: readonly string[];
  /** The text of all elements, in order. */
  readonly texts: readonly string[];
}

const unescapeXml = (text: string): string =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');

/** @throws Error where the text is not well-formed. */
export const parseXml = (xml: string): XmlFacts => {
  if (FORBIDDEN.test(xml)) throw new Error('a character that XML cannot hold');
  const open: string[] = [];
  const elements = new Map<string, number>();
  const ids: string[] = [];
  const texts: string[] = [];
  let root: string | undefined;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < xml.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(xml);
    const fail = (why: string): never => {
      throw new Error(`${why} at ${at}: ${xml.slice(at, at + 60)}`);
    };
    if (token === null) return fail('no token');
    const [, name, attributes = '', selfClosing, closed, content] = token;
    if (ENTITY.test(attributes) || ENTITY.test(content ?? '')) fail('a bare &');
    if (content !== undefined) {
      if (open.length === 0 && content.trim() !== '') fail('text outside the root');
      if (content.trim() !== '') texts.push(unescapeXml(content));
    } else if (closed !== undefined) {
      if (open.pop() !== closed) fail(`</${closed}> closes something else`);
    } else {
      if (open.length === 0 && root !== undefined) fail('a second root');
      root ??= name!;
      elements.set(name!, (elements.get(name!) ?? 0) + 1);
      const names = [...attributes.matchAll(/([\w.:-]+)="([^"]*)"/g)];
      if (new Set(names.map(([, key]) => key)).size < names.length) fail('an attribute twice');
      for (const [, key, value] of names) if (key === 'id') ids.push(value!);
      if (selfClosing === '') open.push(name!);
    }
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`);
  if (root === undefined) throw new Error('no root');
  return { root, elements, ids, texts };
};
