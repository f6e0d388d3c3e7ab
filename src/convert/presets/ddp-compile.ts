/** torch.compile of a DistributedDataParallel (`_orig_mod.module.`), and the other way round (`module._orig_mod.`). */
import { type Preset, tableRule } from './preset.ts';
import { withoutCompiled } from './torch-compile.ts';

export const ddpCompile: Preset = {
  name: 'ddp+compile',
  summary: 'takes `module.` and `_orig_mod.` off in either order, `_orig_mod.` at any level',
  rules: (tensors) => tableRule(tensors.keys(), (key) => withoutCompiled(key).replace(/^module\.(?=.)/, '')),
};
