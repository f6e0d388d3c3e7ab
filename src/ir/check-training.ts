/** Rules about training_info: its graphs, and bindings that name initializers and outputs that exist. */
import { quoted } from '../proto/quote.ts';
import type { GraphProto, ModelProto, StringStringEntryProto } from '../proto/schema.ts';
import { Where } from './check-context.ts';
import { checkGraph } from './check-graph.ts';
import { checkEntries } from './check-header.ts';
import type { Surroundings } from './check-scope.ts';

const initializersOf = (graph: GraphProto | undefined): string[] => [
  ...(graph?.initializer ?? []).map(({ name = '' }) => name),
  ...(graph?.sparseInitializer ?? []).map(({ values }) => values?.name ?? ''),
];

/** @param outer what the model's graph defines: the training graphs see it */
export const checkTraining = (
  model: ModelProto,
  around: Surroundings,
  outer: ReadonlyMap<string, number>,
): void => {
  const { findings } = around;
  model.trainingInfo.forEach((info, index) => {
    const what = `training_info[${index}]`;
    const { initialization, algorithm } = info;
    if (initialization) {
      const where = new Where(`${what}.initialization`, `${what}.initialization `);
      checkGraph(initialization, where, around, outer);
    }
    if (algorithm) {
      checkGraph(algorithm, new Where(`${what}.algorithm`, `${what}.algorithm `), around, outer);
    }
    const targets = new Set([...initializersOf(model.graph), ...initializersOf(algorithm)]);
    const checkBinding = (
      field: string,
      bindings: readonly StringStringEntryProto[],
      graph: GraphProto | undefined,
    ): void => {
      const outputs = new Set(graph?.output.map(({ name = '' }) => name));
      checkEntries(bindings, `${what}.${field}`, findings);
      for (const { key = '', value = '' } of bindings) {
        if (!targets.has(key)) {
          findings.warning('training-binding', `${what}.${field} names ${quoted(key)}, not an initializer`, {
            value: key,
          });
        }
        if (!outputs.has(value)) {
          findings.warning(
            'training-binding',
            `${what}.${field} takes ${quoted(value)}, not an output of its graph`,
            { value },
          );
        }
      }
    };
    checkBinding('initialization_binding', info.initializationBinding, initialization);
    checkBinding('update_binding', info.updateBinding, algorithm);
  });
};
