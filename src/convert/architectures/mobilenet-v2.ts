/** torchvision's MobileNetV2 classifier; outputs logits [N, classes]. */
import type { Architecture } from '../architecture.ts';
import { mobileNetV2Features } from '../blocks/mobilenet-v2.ts';

export const mobilenetV2: Architecture = {
  name: 'mobilenet_v2',
  summary: 'MobileNetV2 classifier, 1000 ImageNet classes or as many as the checkpoint has',
  module: 'torchvision.models.mobilenet_v2',
  inputs: [{ name: 'input', shape: [1, 3, 224, 224] }],
  landmarks: [
    'features.0.0.weight',
    'features.6.conv.2.weight',
    'features.12.conv.1.0.weight',
    'classifier.1.weight',
  ],
  build: (nn, input) => {
    const features = mobileNetV2Features(nn.scope('features'), input!, 'nested');
    const pooled = nn.flatten(nn.adaptiveAvgPool2d(features, 1));
    const classes = nn.sizeOf('classifier.1.weight', 0, 1000);
    return { output: nn.linear(pooled, 'classifier.1', { out: classes }) };
  },
};
