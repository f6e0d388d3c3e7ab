/** The files that the tensors of an input lie in: external data, shards. An output must be none of them. */
import { filesOf } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { allGraphs } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';

/** Paths of the files that these tensors are read from. */
export const dataFiles = (tensors: Iterable<Tensor>): string[] => [
  ...new Set([...tensors].flatMap(({ data }) => filesOf(data))),
];

/** The same for the initializers of a model and its subgraphs. */
export const modelDataFiles = ({ graph }: Model): string[] =>
  dataFiles(
    [...allGraphs(graph)].flatMap(({ initializers }) =>
      initializers.flatMap(({ initializer }) => initializer ?? []),
    ),
  );
