/** Every preset of `remap`, by name. To add one: write its file and list it here. */
import { dataparallel } from './dataparallel.ts';
import { ddpCompile } from './ddp-compile.ts';
import { ema } from './ema.ts';
import { lightning } from './lightning.ts';
import type { Preset } from './preset.ts';
import { tfConv } from './tf-conv.ts';
import { torchCompile } from './torch-compile.ts';
import { weightNorm } from './weight-norm.ts';

export const presets = {
  dataparallel,
  'torch-compile': torchCompile,
  'ddp+compile': ddpCompile,
  lightning,
  ema,
  'weight-norm': weightNorm,
  'tf-conv': tfConv,
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const PRESET_NAMES = Object.keys(presets) as PresetName[];
