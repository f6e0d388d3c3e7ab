/**
 * torch.compile(model) wraps the model as `_orig_mod`. A submodule may be compiled on its own, so the name can stand at
 * any level: `_orig_mod.layer1.weight`, `encoder._orig_mod.layer1.weight`.
 */
import { type Preset, tableRule } from './preset.ts';

/** A key without the levels that torch.compile puts in. */
export const withoutCompiled = (key: string): string => {
  const levels = key.split('.');
  return levels.filter((level, i) => level !== '_orig_mod' || i === levels.length - 1).join('.');
};

export const torchCompile: Preset = {
  name: 'torch-compile',
  summary: 'takes `_orig_mod.` out of the keys, at any level',
  rules: (tensors) => tableRule(tensors.keys(), withoutCompiled),
};
