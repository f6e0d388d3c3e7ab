/** torch.nn.DataParallel and DistributedDataParallel keep the model as their attribute `module`. */
import type { Preset } from './preset.ts';

export const dataparallel: Preset = {
  name: 'dataparallel',
  summary: 'takes `module.` off the keys that begin with it',
  rules: () => [{ op: 'prefix', from: 'module.', to: '' }],
};
