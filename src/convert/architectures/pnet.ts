/**
 * P-Net of MTCNN: fully convolutional, so that one pass proposes faces everywhere. Any H, W ≥ 12; the outputs are
 * box offsets [N, 4, h, w] and face probabilities [N, 2, h, w], in torch's order.
 */
import type { Architecture } from '../architecture.ts';

export const pnet: Architecture = {
  name: 'pnet',
  summary: 'MTCNN P-Net: face proposals on images of any size',
  module: 'PNet of facenet-pytorch',
  inputs: [{ name: 'input', shape: ['batch', 3, 'height', 'width'] }],
  landmarks: ['prelu1.weight', 'conv4_1.weight', 'conv4_2.weight'],
  build: (nn, input) => {
    let x = nn.conv2d(input!, 'conv1', { out: 10, kernel: 3 });
    x = nn.prelu(x, 'prelu1', { slopes: 10 });
    x = nn.maxPool2d(x, { kernel: 2, stride: 2, ceilMode: true }, 'pool1');
    x = nn.conv2d(x, 'conv2', { out: 16, kernel: 3 });
    x = nn.prelu(x, 'prelu2', { slopes: 16 });
    x = nn.conv2d(x, 'conv3', { out: 32, kernel: 3 });
    x = nn.prelu(x, 'prelu3', { slopes: 32 });
    const faces = nn.softmax(nn.conv2d(x, 'conv4_1', { out: 2, kernel: 1 }), 1, 'softmax4_1');
    const boxes = nn.conv2d(x, 'conv4_2', { out: 4, kernel: 1 });
    return { conv4_2: boxes, softmax4_1: faces };
  },
};
