/** R-Net of MTCNN on 24×24 crops; outputs box offsets [N, 4] and face probabilities [N, 2], in torch's order. */
import type { Architecture } from '../architecture.ts';

export const rnet: Architecture = {
  name: 'rnet',
  summary: 'MTCNN R-Net: refines face proposals of 24×24 pixels',
  module: 'RNet of facenet-pytorch',
  inputs: [{ name: 'input', shape: ['batch', 3, 24, 24] }],
  landmarks: ['prelu1.weight', 'dense4.weight', 'dense5_1.weight', 'dense5_2.weight'],
  build: (nn, input) => {
    let x = nn.conv2d(input!, 'conv1', { out: 28, kernel: 3 });
    x = nn.prelu(x, 'prelu1', { slopes: 28 });
    x = nn.maxPool2d(x, { kernel: 3, stride: 2, ceilMode: true }, 'pool1');
    x = nn.conv2d(x, 'conv2', { out: 48, kernel: 3 });
    x = nn.prelu(x, 'prelu2', { slopes: 48 });
    x = nn.maxPool2d(x, { kernel: 3, stride: 2, ceilMode: true }, 'pool2');
    x = nn.conv2d(x, 'conv3', { out: 64, kernel: 2 });
    x = nn.prelu(x, 'prelu3', { slopes: 64 });
    // The weights come from a framework that keeps images as [W, H, C].
    x = nn.flatten(nn.permute(x, [0, 3, 2, 1]));
    x = nn.prelu(nn.linear(x, 'dense4', { out: 128 }), 'prelu4', { slopes: 128 });
    const faces = nn.softmax(nn.linear(x, 'dense5_1', { out: 2 }), 1, 'softmax5_1');
    const boxes = nn.linear(x, 'dense5_2', { out: 4 });
    return { dense5_2: boxes, softmax5_1: faces };
  },
};
