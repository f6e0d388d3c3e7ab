/**
 * PyTorch Lightning: `state_dict` holds the LightningModule, which holds the network as an attribute. By custom that is
 * `model`, or `net`; strategies and Fabric put `_forward_module.` before everything. The first of these attributes that
 * a key begins with is taken off; other keys (losses, metrics) stay as they are.
 */
import type { Preset } from './preset.ts';

const WRAPPER = '_forward_module.';
const ATTRIBUTES = ['model.', 'net.', 'network.'];

export const lightning: Preset = {
  name: 'lightning',
  summary: 'takes `_forward_module.` and then `model.` (or `net.`, `network.`) off',
  stateDicts: ['state_dict'],
  rules: (tensors) => {
    const keys = [...tensors.keys()];
    const bare = keys.map((key) => (key.startsWith(WRAPPER) ? key.slice(WRAPPER.length) : key));
    const attribute = ATTRIBUTES.find((prefix) => bare.some((key) => key.startsWith(prefix)));
    const wrappers = keys.some((key) => key.startsWith(WRAPPER)) ? [WRAPPER] : [];
    return [...wrappers, ...(attribute === undefined ? [] : [attribute])].map((from) => ({
      op: 'prefix',
      from,
      to: '',
    }));
  },
};
