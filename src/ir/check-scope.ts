/** Scopes of the structural check: which names a graph defines, where, and inside which node it lies. */
import { createMessage } from '../proto/fields.ts';
import type { GraphProto, NodeProto } from '../proto/schema.ts';
import { canonicalDomain, type FindingList, qualifiedName, Where } from './check-context.ts';
import type { Read } from './check-cycle.ts';
import type { ExternalFiles } from './check-external.ts';

/** What holds for all graphs of a model, or of one function's body. */
export interface Surroundings {
  readonly findings: FindingList;
  readonly files: ExternalFiles;
  /** Imported domains; undefined when the header lacks them and was reported. */
  readonly opsets: ReadonlyMap<string, bigint> | undefined;
  readonly irVersion: bigint;
  readonly configurations: ReadonlySet<string>;
  /** Set inside a function. */
  readonly function?: {
    readonly name: string;
    readonly formals: ReadonlySet<string>;
    /** Values of the model's graph, to tell a capture from a typing error. */
    readonly outer: ReadonlySet<string>;
  };
}

/** Where a value is defined: BEFORE for inputs and initializers, else the index of the node. */
export const BEFORE = -1;

export interface Scope {
  readonly where: Where;
  readonly graph: GraphProto;
  readonly definitions: Map<string, number>;
  readonly parent: Scope | undefined;
  /** The node of the parent that holds this subgraph, and the attribute. */
  readonly owner: number;
  readonly attribute: string;
  /** Reads that subgraphs make of this graph's node outputs. */
  readonly captures: Read[];
  hasLateRead: boolean;
}

export const nodeLabel = (where: Where, index: number, node: NodeProto): string =>
  `${where.node(index)} ${qualifiedName(canonicalDomain(node.domain), node.opType)}`.trimEnd();

/** The kind of a value that is defined at BEFORE. */
export const describeDefinition = (scope: Scope, name: string, index: number): string => {
  if (index !== BEFORE) return `the output of node ${index}`;
  const isInput = scope.graph.input.some((input) => input.name === name);
  return isInput ? `${scope.where.isFunction ? 'an input' : 'a graph input'}` : 'an initializer';
};

export const createScope = (
  given: Pick<Scope, 'where' | 'graph' | 'parent' | 'owner' | 'attribute'>,
): Scope => ({ ...given, definitions: new Map(), captures: [], hasLateRead: false });

/** A scope around a root that only defines names. */
export const outerScope = (definitions: ReadonlyMap<string, number>): Scope => ({
  ...createScope({
    where: Where.graph,
    graph: createMessage('GraphProto'),
    parent: undefined,
    owner: BEFORE,
    attribute: '',
  }),
  definitions: new Map([...definitions.keys()].map((name) => [name, BEFORE])),
});

/** The definition of a name in an outer graph, as far as the node that holds the subgraph is concerned. */
export const outerDefinition = (
  scope: Scope,
  name: string,
): { scope: Scope; reader: number; maker: number } | undefined => {
  for (let inner = scope; inner.parent; inner = inner.parent) {
    const maker = inner.parent.definitions.get(name);
    if (maker !== undefined) return { scope: inner.parent, reader: inner.owner, maker };
  }
  return undefined;
};
