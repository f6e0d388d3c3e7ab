/** MobileNetV3-Large of May 2019; outputs logits [N, classes]. */
import type { Architecture } from '../architecture.ts';
import { mobileNetV3Xl19, type Xl19Block } from '../blocks/mobilenet-v3-xl19.ts';

const BLOCKS: readonly Xl19Block[] = [
  { kernel: 3, hidden: 16, out: 16, activation: 'relu', se: false, stride: 1 },
  { kernel: 3, hidden: 64, out: 24, activation: 'relu', se: false, stride: 2 },
  { kernel: 3, hidden: 72, out: 24, activation: 'relu', se: false, stride: 1 },
  { kernel: 5, hidden: 72, out: 40, activation: 'relu', se: true, stride: 2 },
  { kernel: 5, hidden: 120, out: 40, activation: 'relu', se: true, stride: 1 },
  { kernel: 5, hidden: 120, out: 40, activation: 'relu', se: true, stride: 1 },
  { kernel: 3, hidden: 240, out: 80, activation: 'hardswish', se: false, stride: 2 },
  { kernel: 3, hidden: 200, out: 80, activation: 'hardswish', se: false, stride: 1 },
  { kernel: 3, hidden: 184, out: 80, activation: 'hardswish', se: false, stride: 1 },
  { kernel: 3, hidden: 184, out: 80, activation: 'hardswish', se: false, stride: 1 },
  { kernel: 3, hidden: 480, out: 112, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 3, hidden: 672, out: 112, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 672, out: 160, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 672, out: 160, activation: 'hardswish', se: true, stride: 2 },
  { kernel: 5, hidden: 960, out: 160, activation: 'hardswish', se: true, stride: 1 },
];

export const mobilenetv3Xl19Large: Architecture = {
  name: 'mobilenetv3-xl19-large',
  summary: 'MobileNetV3-Large of 2019, 224×224 pixels',
  module: 'MobileNetV3_Large of xiaolai-sqlai/mobilenetv3 at ea2985c',
  inputs: [{ name: 'input', shape: [1, 3, 224, 224] }],
  landmarks: ['bneck.0.conv2.weight', 'bneck.5.conv3.weight', 'bneck.11.conv2.weight', 'linear4.weight'],
  build: (nn, input) => ({ output: mobileNetV3Xl19(nn, input!, BLOCKS, 960) }),
};
