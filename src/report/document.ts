/**
 * The content of a report between its data and a renderer: facts, tables and lines of finished text, in reading order.
 * A layout makes blocks from the data of one kind of report; text, Markdown and other formats draw any block.
 */

export interface Facts {
  readonly kind: 'facts';
  readonly title?: string;
  readonly rows: readonly (readonly [label: string, text: string])[];
}

export interface Column {
  readonly name: string;
  readonly align: 'left' | 'right';
}

export interface Table {
  readonly kind: 'table';
  readonly title?: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
}

export interface Lines {
  readonly kind: 'lines';
  readonly title: string;
  readonly lines: readonly string[];
}

export type Block = Facts | Table | Lines;

/** The blocks of one kind of report, summary first; with `all`, also what is only shown to those who ask for it. */
export type Layout<D> = (data: D, options: { readonly all: boolean }) => readonly Block[];

export const facts = (rows: Facts['rows'], title?: string): Facts =>
  title === undefined ? { kind: 'facts', rows } : { kind: 'facts', title, rows };

/** Columns by name; a name that starts with `>` is aligned to the right. */
export const table = (
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  title?: string,
): Table => ({
  kind: 'table',
  ...(title === undefined ? {} : { title }),
  columns: columns.map((name) =>
    name.startsWith('>') ? { name: name.slice(1), align: 'right' } : { name, align: 'left' },
  ),
  rows,
});
