/**
 * O-Net of MTCNN on 48×48 crops; outputs box offsets [N, 4], five landmarks [N, 10] (all x, then all y) and face
 * probabilities [N, 2], in torch's order.
 */
import type { Architecture } from '../architecture.ts';

export const onet: Architecture = {
  name: 'onet',
  summary: 'MTCNN O-Net: boxes and five landmarks of faces of 48×48 pixels',
  module: 'ONet of facenet-pytorch',
  inputs: [{ name: 'input', shape: ['batch', 3, 48, 48] }],
  landmarks: ['prelu1.weight', 'dense5.weight', 'dense6_1.weight', 'dense6_3.weight'],
  build: (nn, input) => {
    let x = nn.conv2d(input!, 'conv1', { out: 32, kernel: 3 });
    x = nn.prelu(x, 'prelu1', { slopes: 32 });
    x = nn.maxPool2d(x, { kernel: 3, stride: 2, ceilMode: true }, 'pool1');
    x = nn.conv2d(x, 'conv2', { out: 64, kernel: 3 });
    x = nn.prelu(x, 'prelu2', { slopes: 64 });
    x = nn.maxPool2d(x, { kernel: 3, stride: 2, ceilMode: true }, 'pool2');
    x = nn.conv2d(x, 'conv3', { out: 64, kernel: 3 });
    x = nn.prelu(x, 'prelu3', { slopes: 64 });
    x = nn.maxPool2d(x, { kernel: 2, stride: 2, ceilMode: true }, 'pool3');
    x = nn.conv2d(x, 'conv4', { out: 128, kernel: 2 });
    x = nn.prelu(x, 'prelu4', { slopes: 128 });
    // The weights come from a framework that keeps images as [W, H, C].
    x = nn.flatten(nn.permute(x, [0, 3, 2, 1]));
    x = nn.prelu(nn.linear(x, 'dense5', { out: 256 }), 'prelu5', { slopes: 256 });
    const faces = nn.softmax(nn.linear(x, 'dense6_1', { out: 2 }), 1, 'softmax6_1');
    const boxes = nn.linear(x, 'dense6_2', { out: 4 });
    const landmarks = nn.linear(x, 'dense6_3', { out: 10 });
    return { dense6_2: boxes, dense6_3: landmarks, softmax6_1: faces };
  },
};
