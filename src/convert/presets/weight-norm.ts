/**
 * Weight normalisation, fused: `weight_g` and `weight_v` (torch.nn.utils.weight_norm), or
 * `parametrizations.weight.original0` and `original1` (torch.nn.utils.parametrizations.weight_norm), become `weight`.
 * Other parameters (`weight_hh_l0_g`) likewise. Only pairs are fused.
 */
import type { Preset } from './preset.ts';

/** What stands before the parameter, and the parameter. */
const OLD = /^((?:.*\.)?)(weight\w*)_g$/s;
const PARAMETRIZED = /^((?:.*\.)?)parametrizations\.([^.]+)\.original0$/s;

const LONGEST = 100;
const escaped = (text: string): string => text.replace(/[\^$\\.*+?()[\]{}|/]/g, '\\$&');

export const weightNorm: Preset = {
  name: 'weight-norm',
  summary: 'fuses weight normalisation, g · v / ‖v‖, in both spellings of PyTorch',
  rules: (tensors) => {
    const old = new Set<string>();
    const parametrized = new Set<string>();
    for (const key of tensors.keys()) {
      const [, before, name = ''] = OLD.exec(key) ?? [];
      if (before !== undefined && name.length <= LONGEST && tensors.has(`${before}${name}_v`)) old.add(name);
      const [, outer, parameter = ''] = PARAMETRIZED.exec(key) ?? [];
      const partner = `${outer}parametrizations.${parameter}.original1`;
      if (outer !== undefined && parameter.length <= LONGEST && tensors.has(partner))
        parametrized.add(parameter);
    }
    return [
      ...[...old].map((name) => ({
        op: 'weight-norm' as const,
        g: `(|.*\\.)${escaped(name)}_g`,
        v: `(|.*\\.)${escaped(name)}_v`,
        to: `$1${name.replaceAll('$', '$$$$')}`,
      })),
      ...[...parametrized].map((name) => ({
        op: 'weight-norm' as const,
        g: `(|.*\\.)parametrizations\\.${escaped(name)}\\.original0`,
        v: `(|.*\\.)parametrizations\\.${escaped(name)}\\.original1`,
        to: `$1${name.replaceAll('$', '$$$$')}`,
      })),
    ];
  },
};
