/**
 * Landmark networks with a global depthwise convolution: a MobileNetV2 body, a depthwise convolution as large as its
 * last feature map, a 1×1 convolution to the coordinates (x, y of 68 points by default).
 *
 * The body is registered twice, as `pretrain_net` (a whole classifier, whose head is never called) and as `base_net`,
 * so every feature tensor has two keys.
 */
import type { Value } from '../../ir/value.ts';
import type { Architecture } from '../architecture.ts';
import type { Nn } from '../nn.ts';
import { mobileNetV2Features } from './mobilenet-v2.ts';

export const gdconvKeys = {
  aliases: [{ from: 'base_net.0.', to: 'pretrain_net.features.' }],
  deadKeys: ['pretrain_net.classifier.*'],
  landmarks: [
    'pretrain_net.features.0.0.weight',
    'pretrain_net.features.12.conv.2.weight',
    'linear7.conv.weight',
    'linear1.conv.weight',
  ],
} as const satisfies Partial<Architecture>;

/** `kernel` is the size of the last feature map: 7 for 224×224 pixels, 2 for 56×56. */
export const gdconvHead = (nn: Nn, features: Value, kernel: number): Value => {
  const linear7 = nn.scope('linear7');
  let x = linear7.conv2d(features, 'conv', { out: 1280, kernel, groups: 1280, bias: false });
  x = linear7.batchNorm2d(x, 'bn');
  const linear1 = nn.scope('linear1');
  const out = nn.sizeOf('linear1.conv.weight', 0, 136);
  x = linear1.batchNorm2d(linear1.conv2d(x, 'conv', { out, kernel: 1, bias: false }), 'bn');
  return nn.flatten(x);
};

export const gdconvBody = (nn: Nn, image: Value): Value =>
  mobileNetV2Features(nn.scope('pretrain_net.features'), image, 'nested');
