/**
 * MobileNetV3 as xiaolai-sqlai/mobilenetv3 had it in May 2019 (commit ea2985c), [N, 3, 224, 224] → [N, classes].
 *
 * It differs from later MobileNetV3s: squeeze-and-excitation comes after the last batch norm of a block and has
 * batch norms itself, blocks of stride 2 have no shortcut, `linear3` has a bias, and the pool is 7×7 whatever the
 * input size.
 */
import type { Value } from '../../ir/value.ts';
import type { Nn } from '../nn.ts';

export interface Xl19Block {
  readonly kernel: number;
  readonly hidden: number;
  readonly out: number;
  readonly activation: 'relu' | 'hardswish';
  readonly se: boolean;
  readonly stride: number;
}

/** Mean over H and W, 1×1 convolution to a quarter of the channels and back, each with a batch norm. */
const seModule = (nn: Nn, x: Value, channels: number): Value => {
  const se = nn.scope('se');
  let scale = se.adaptiveAvgPool2d(x, 1, '0');
  scale = se.conv2d(scale, '1', { out: channels / 4, kernel: 1, bias: false });
  scale = se.relu(se.batchNorm2d(scale, '2'), '3');
  scale = se.conv2d(scale, '4', { out: channels, kernel: 1, bias: false });
  return nn.mul(x, se.hardsigmoid(se.batchNorm2d(scale, '5'), '6'));
};

const block = (nn: Nn, x: Value, input: number, options: Xl19Block): Value => {
  const { kernel, hidden, out, activation, se, stride } = options;
  const padding = (kernel - 1) / 2;
  let y = nn.batchNorm2d(nn.conv2d(x, 'conv1', { out: hidden, kernel: 1, bias: false }), 'bn1');
  y = nn[activation](y, 'nolinear1');
  y = nn.conv2d(y, 'conv2', { out: hidden, kernel, stride, padding, groups: hidden, bias: false });
  y = nn[activation](nn.batchNorm2d(y, 'bn2'), 'nolinear2');
  y = nn.batchNorm2d(nn.conv2d(y, 'conv3', { out, kernel: 1, bias: false }), 'bn3');
  if (se) y = seModule(nn.scope('se'), y, out);
  if (stride !== 1) return y;
  if (input === out) return nn.add(y, x);
  const shortcut = nn.scope('shortcut');
  return nn.add(y, shortcut.batchNorm2d(shortcut.conv2d(x, '0', { out, kernel: 1, bias: false }), '1'));
};

/** The whole network; `last` is the number of channels of the last convolution. */
export const mobileNetV3Xl19 = (nn: Nn, image: Value, blocks: readonly Xl19Block[], last: number): Value => {
  let x = nn.conv2d(image, 'conv1', { out: 16, kernel: 3, stride: 2, padding: 1, bias: false });
  x = nn.hardswish(nn.batchNorm2d(x, 'bn1'), 'hs1');
  let input = 16;
  blocks.forEach((options, i) => {
    x = block(nn.scope(`bneck.${i}`), x, input, options);
    input = options.out;
  });
  x = nn.batchNorm2d(nn.conv2d(x, 'conv2', { out: last, kernel: 1, bias: false }), 'bn2');
  x = nn.flatten(nn.avgPool2d(nn.hardswish(x, 'hs2'), { kernel: 7 }));
  x = nn.hardswish(nn.batchNorm2d(nn.linear(x, 'linear3', { out: 1280 }), 'bn3'), 'hs3');
  return nn.linear(x, 'linear4', { out: nn.sizeOf('linear4.weight', 0, 1000) });
};
