/** MobileNet_GDConv_56: as gdconv, for faces of 56×56 pixels. */
import type { Architecture } from '../architecture.ts';
import { gdconvBody, gdconvHead, gdconvKeys } from '../blocks/gdconv.ts';

export const gdconv56: Architecture = {
  name: 'gdconv56',
  summary: 'MobileNet_GDConv_56, 68 facial landmarks from 56×56 pixels',
  module: 'MobileNet_GDConv_56 of cunjian/pytorch_face_landmark',
  inputs: [{ name: 'input', shape: [1, 3, 56, 56] }],
  ...gdconvKeys,
  build: (nn, input) => ({ output: gdconvHead(nn, gdconvBody(nn, input!), 2) }),
};
