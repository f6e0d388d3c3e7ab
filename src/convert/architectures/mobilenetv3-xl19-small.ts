/** MobileNetV3-Small of May 2019; outputs logits [N, classes]. */
import type { Architecture } from '../architecture.ts';
import { mobileNetV3Xl19, type Xl19Block } from '../blocks/mobilenet-v3-xl19.ts';

const BLOCKS: readonly Xl19Block[] = [
  { kernel: 3, hidden: 16, out: 16, activation: 'relu', se: true, stride: 2 },
  { kernel: 3, hidden: 72, out: 24, activation: 'relu', se: false, stride: 2 },
  { kernel: 3, hidden: 88, out: 24, activation: 'relu', se: false, stride: 1 },
  { kernel: 5, hidden: 96, out: 40, activation: 'hardswish', se: true, stride: 2 },
  { kernel: 5, hidden: 240, out: 40, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 240, out: 40, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 120, out: 48, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 144, out: 48, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 288, out: 96, activation: 'hardswish', se: true, stride: 2 },
  { kernel: 5, hidden: 576, out: 96, activation: 'hardswish', se: true, stride: 1 },
  { kernel: 5, hidden: 576, out: 96, activation: 'hardswish', se: true, stride: 1 },
];

export const mobilenetv3Xl19Small: Architecture = {
  name: 'mobilenetv3-xl19-small',
  summary: 'MobileNetV3-Small of 2019 (py-feat style classifiers), 224×224 pixels',
  module: 'MobileNetV3_Small of xiaolai-sqlai/mobilenetv3 at ea2985c',
  inputs: [{ name: 'input', shape: [1, 3, 224, 224] }],
  landmarks: ['bneck.0.conv2.weight', 'bneck.4.conv2.weight', 'bneck.7.se.se.1.weight', 'linear4.weight'],
  build: (nn, input) => ({ output: mobileNetV3Xl19(nn, input!, BLOCKS, 576) }),
};
