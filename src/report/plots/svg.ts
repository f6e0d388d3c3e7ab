/**
 * SVG as text, for plots: shapes, text and a document that reads on light and dark paper and has a title and a
 * description for those who do not see it. The same numbers give the same text.
 */
import { printable } from '../../core/printable.ts';

/** Coordinates: hundredths of a pixel are enough, and the same everywhere. */
const coordinate = (value: number): string => String(Math.round(value * 100) / 100 || 0);

export const escapeXml = (text: string): string =>
  printable(text)
    // What XML cannot hold, even escaped.
    .replace(/[\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');

/** Cuts long names in the middle: their ends tell them apart. */
export const shorten = (name: string, most: number): string => {
  const characters = [...printable(name)];
  if (characters.length <= most) return characters.join('');
  const head = Math.floor((most - 1) / 3);
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - (most - 1 - head)).join('')}`;
};

type Attributes = Readonly<Record<string, string | number | undefined>>;

const attributesOf = (attributes: Attributes): string =>
  Object.entries(attributes)
    .map(([key, value]) => {
      if (value === undefined) return '';
      return ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeXml(value)}"`;
    })
    .join('');

/** An element; `inner` is finished SVG. Its `class` gives it its colours. */
export const element = (name: string, attributes: Attributes, inner = ''): string =>
  inner === ''
    ? `<${name}${attributesOf(attributes)}/>`
    : `<${name}${attributesOf(attributes)}>${inner}</${name}>`;

export interface TextOptions {
  /** Default `start`. */
  readonly anchor?: 'start' | 'middle' | 'end';
  /** Default `label`. */
  readonly className?: string;
  /** Degrees, around its place. */
  readonly rotate?: number;
}

export const text = (x: number, y: number, content: string, options: TextOptions = {}): string => {
  const { anchor, className = 'label', rotate } = options;
  const place = `${coordinate(x)} ${coordinate(y)}`;
  return element(
    'text',
    {
      x,
      y,
      class: className,
      'text-anchor': anchor === 'start' ? undefined : anchor,
      transform: rotate === undefined ? undefined : `rotate(${rotate} ${place})`,
    },
    escapeXml(content),
  );
};

export const line = (x1: number, y1: number, x2: number, y2: number, className: string): string =>
  element('line', { x1, y1, x2, y2, class: className });

/** An element with a text that shows when one points at it. */
export const withTip = (name: string, attributes: Attributes, tip: string): string =>
  element(name, attributes, element('title', {}, escapeXml(tip)));

/** Colours that people with any colour vision tell apart (Okabe & Ito, 2008), legible on light and dark paper. */
export const SERIES = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'] as const;

const seriesRules = SERIES.map(
  (colour, i) => `.s${i}{fill:${colour}}.l${i}{stroke:${colour};fill:none}`,
).join('');

const STYLE = [
  'text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:12px;fill:#1f2328}',
  'text.title{font-size:15px;font-weight:600}text.muted{fill:#59636e;font-size:11px}text.number{font-size:11px;font-weight:600}',
  '.paper{fill:#ffffff}.grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#59636e;stroke-width:1}',
  '.mark{stroke:#1f2328;stroke-width:1.5}.mark2{stroke:#1f2328;stroke-width:1.5;stroke-dasharray:4 3}',
  '.roof{stroke:#59636e;stroke-width:1.75;fill:none}.roof2{stroke:#59636e;stroke-width:1.5;fill:none;stroke-dasharray:5 4}',
  '.thin{stroke:#59636e;stroke-width:.75}.odd{stroke:#d55e00;stroke-width:1.25;fill:none}',
  seriesRules,
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}text.muted{fill:#9198a1}.paper{fill:#0d1117}',
  '.grid{stroke:#30363d}.axis,.roof,.roof2,.thin{stroke:#9198a1}.mark,.mark2{stroke:#e6edf3}}',
].join('');

export interface Plot {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  /** What the plot shows, in a sentence, with its numbers. */
  readonly description: string;
  /** Finished SVG. */
  readonly body: readonly string[];
}

/** Space above a plot for its title. */
export const HEAD = 40;

export const svgDocument = ({ width, height, title, description, body }: Plot): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${coordinate(width)}" height="${coordinate(height)}" viewBox="0 0 ${coordinate(width)} ${coordinate(height)}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="description">${escapeXml(description)}</desc>`,
    `<style>${STYLE}</style>`,
    element('rect', { class: 'paper', width, height }),
    text(16, 25, title, { className: 'title' }),
    ...body,
    '</svg>',
    '',
  ].join('\n');
