/** MobileNet_GDConv: 68 facial landmarks from a face of 224×224 pixels; outputs [N, 136], x and y in turn, 0 to 1. */
import type { Architecture } from '../architecture.ts';
import { gdconvBody, gdconvHead, gdconvKeys } from '../blocks/gdconv.ts';

export const gdconv: Architecture = {
  name: 'gdconv',
  summary: 'MobileNet_GDConv, 68 facial landmarks from 224×224 pixels',
  module: 'MobileNet_GDConv of py-feat and cunjian/pytorch_face_landmark',
  inputs: [{ name: 'input', shape: [1, 3, 224, 224] }],
  ...gdconvKeys,
  build: (nn, input) => ({ output: gdconvHead(nn, gdconvBody(nn, input!), 7) }),
};
