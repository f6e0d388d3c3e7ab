/** Rules about the device configurations of a node: what they name exists. */
import { quoted } from '../proto/quote.ts';
import type { NodeProto } from '../proto/schema.ts';
import type { Where } from './check-context.ts';
import type { Surroundings } from './check-scope.ts';

/** Reports configurations the model does not have, sharding of values the node does not touch, shards below one. */
export const checkDevices = (
  node: NodeProto,
  index: number,
  where: Where,
  { findings, configurations }: Pick<Surroundings, 'findings' | 'configurations'>,
): void => {
  const at = where.at(index, node);
  const values = new Set([...node.input, ...node.output]);
  const report = (message: () => string): void =>
    findings.warning('device-configuration', () => `${where.node(index)}: ${message()}`, at);
  for (const { configurationId = '', shardingSpec } of node.deviceConfigurations) {
    if (!configurations.has(configurationId)) {
      report(() => `device configuration ${quoted(configurationId)} is not one of the model's`);
    }
    for (const { tensorName = '', shardedDim } of shardingSpec) {
      if (!values.has(tensorName)) {
        report(() => `sharding of ${quoted(tensorName)}, which is neither input nor output of the node`);
      }
      for (const { simpleSharding } of shardedDim) {
        for (const { numShards } of simpleSharding) {
          if (numShards !== undefined && numShards < 1n) report(() => `num_shards is ${numShards}`);
        }
      }
    }
  }
};
