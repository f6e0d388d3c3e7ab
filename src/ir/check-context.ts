/**
 * What every structural rule works with: the list of findings (capped a rule), places as messages spell them,
 * and names that are safe to print.
 */
import type { Place } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { quoted } from '../proto/quote.ts';
import type { NodeProto } from '../proto/schema.ts';

/** Findings of one rule that are listed; the first of them tells how many there are. */
const LISTED_PER_RULE = 20;

type Message = string | (() => string);

/**
 * Collects findings. A rule that fires a million times costs a counter each time: beyond the cap no message is built.
 */
export class FindingList {
  readonly #rules = new Map<string, { listed: Finding[]; count: number }>();
  #errors = 0;

  add(level: Finding['level'], rule: string, message: Message, at?: Place, hint?: string): void {
    if (level === 'error') this.#errors++;
    const key = `${level} ${rule}`;
    let entry = this.#rules.get(key);
    if (entry === undefined) {
      entry = { listed: [], count: 0 };
      this.#rules.set(key, entry);
    }
    entry.count++;
    if (entry.listed.length >= LISTED_PER_RULE) return;
    entry.listed.push({
      level,
      rule,
      message: typeof message === 'string' ? message : message(),
      ...(hint === undefined ? {} : { hint }),
      ...(at === undefined ? {} : { at }),
    });
  }

  error(rule: string, message: Message, at?: Place, hint?: string): void {
    this.add('error', rule, message, at, hint);
  }

  warning(rule: string, message: Message, at?: Place, hint?: string): void {
    this.add('warning', rule, message, at, hint);
  }

  note(rule: string, message: Message, at?: Place, hint?: string): void {
    this.add('note', rule, message, at, hint);
  }

  get errorCount(): number {
    return this.#errors;
  }

  /** Errors first, then warnings, then notes; within a level in the order the rules first fired. */
  get findings(): Finding[] {
    const all = [...this.#rules.values()].flatMap(({ listed, count }) =>
      listed.map((finding, index) =>
        index === 0 && count > listed.length
          ? { ...finding, message: `${finding.message} (and ${(count - 1).toLocaleString('en-US')} more)` }
          : finding,
      ),
    );
    const rank = { error: 0, warning: 1, note: 2 } as const;
    return all.sort((a, b) => rank[a.level] - rank[b.level]);
  }
}

/** A place that holds nodes: the model's graph, a subgraph, or a function body. */
export class Where {
  /** How messages name the graph: `graph`, `graph.node[0].then_branch`, `function com.acme.F`. */
  readonly path: string;
  /** What stands before the name of a thing in it: '' in the model's graph, `node 0 then_branch ` in a subgraph. */
  readonly prefix: string;
  readonly isFunction: boolean;

  constructor(path: string, prefix: string, isFunction = false) {
    this.path = path;
    this.prefix = prefix;
    this.isFunction = isFunction;
  }

  static readonly graph = new Where('graph', '');

  static ofFunction(name: string): Where {
    return new Where(`function ${name}`, `function ${name} `, true);
  }

  /** The subgraph in an attribute of node `index`. */
  subgraph(index: number, attribute: string): Where {
    return new Where(
      `${this.path}.node[${index}].${attribute}`,
      `${this.prefix}node ${index} ${attribute} `,
      this.isFunction,
    );
  }

  node(index: number): string {
    return `${this.path}.node[${index}]`;
  }

  /** The node's own name, or where it stands when it has none. */
  at(index: number, node: NodeProto): Place {
    return { node: node.name || this.node(index) };
  }
}

/** `com.acme.F`, or `com.acme.F:overload`. The standard domain has no prefix. */
export const qualifiedName = (domain = '', name = '', overload = ''): string => {
  const text = `${domain === '' ? '' : `${domain}.`}${name}${overload === '' ? '' : `:${overload}`}`;
  return quoted(text).slice(1, -1);
};

/** 'ai.onnx' is the long spelling of the standard domain. */
export const canonicalDomain = (domain = ''): string => (domain === 'ai.onnx' ? '' : domain);

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `24 bytes`, `1 TiB`, `1.5 GiB`. */
export const formatBytes = (bytes: bigint): string => {
  let unit = 0;
  let scale = 1n;
  while (unit < UNITS.length - 1 && bytes >= scale * 1024n * (unit === 0 ? 16n : 1n)) {
    scale *= 1024n;
    unit++;
  }
  const value = Number((bytes * 100n) / scale) / 100;
  return `${value} ${UNITS[unit]}`;
};
