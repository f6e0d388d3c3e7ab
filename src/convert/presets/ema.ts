/**
 * The averaged weights of a training run, wherever its code keeps them:
 * - a state dict of its own (timm's `state_dict_ema`, `params_ema` of BasicSR, …), which this preset prefers;
 * - keys beside those of the model: `ema_model.…` (ema-pytorch), `model_ema.…`, `ema.…`, `module_ema.…`; the others are
 *   dropped. LitEma (latent diffusion) leaves the dots out: they come back from the keys under `model.`;
 * - torch.optim.swa_utils.AveragedModel: `module.…` and a counter `n_averaged`, which is dropped.
 */
import type { Tensor } from '../../core/tensor.ts';
import type { Rule } from '../mapping/rule.ts';
import { type Preset, tableRule } from './preset.ts';

const PREFIXES = ['ema_model.', 'model_ema.', 'module_ema.', 'ema.'];
const COUNTER = 'n_averaged';
const LIT_EMA_COUNTERS = ['decay', 'num_updates'];

/** LitEma's names of the parameters under `model.`: the same without dots. */
const litEmaNames = (prefix: string, tensors: ReadonlyMap<string, Tensor>): Map<string, string> => {
  const names = new Map<string, string>();
  for (const key of tensors.keys()) {
    if (!key.startsWith('model.')) continue;
    const averaged = prefix + key.slice('model.'.length).replaceAll('.', '');
    if (averaged.length > prefix.length && tensors.has(averaged))
      names.set(averaged, key.slice('model.'.length));
  }
  return names;
};

const prefixRules = (prefix: string, tensors: ReadonlyMap<string, Tensor>): readonly Rule[] => {
  const own = [...tensors.keys()].filter((key) => key.startsWith(prefix));
  const hasDots = own.some((key) => key.includes('.', prefix.length));
  const undotted = hasDots ? new Map<string, string>() : litEmaNames(prefix, tensors);
  const counters = undotted.size === 0 ? [] : LIT_EMA_COUNTERS.map((name) => prefix + name);
  const kept = own.filter((key) => !counters.includes(key));
  const rules: Rule[] = [{ op: 'select', globs: [`${prefix}*`] }];
  if (kept.length < own.length) rules.push({ op: 'drop', globs: counters });
  return [...rules, ...tableRule(kept, (key) => undotted.get(key) ?? key.slice(prefix.length))];
};

export const ema: Preset = {
  name: 'ema',
  summary:
    'picks the averaged weights: `state_dict_ema` and the like, `ema_model.`, `model_ema.`, AveragedModel',
  stateDicts: ['state_dict_ema', 'model_ema', 'ema_state_dict', 'ema_model', 'params_ema', 'ema'],
  rules: (tensors) => {
    if (tensors.has(COUNTER)) {
      return [
        { op: 'drop', globs: [COUNTER] },
        { op: 'prefix', from: 'module.', to: '' },
      ];
    }
    const prefix = PREFIXES.find((one) => [...tensors.keys()].some((key) => key.startsWith(one)));
    return prefix === undefined ? [] : prefixRules(prefix, tensors);
  },
};
