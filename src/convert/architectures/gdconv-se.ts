/** MobileNet_GDConv_SE: as gdconv, with squeeze-and-excitation between the body and the head. */
import type { Architecture } from '../architecture.ts';
import { gdconvBody, gdconvHead, gdconvKeys } from '../blocks/gdconv.ts';

export const gdconvSe: Architecture = {
  name: 'gdconv-se',
  summary: 'MobileNet_GDConv_SE, 68 facial landmarks from 224×224 pixels, with attention',
  module: 'MobileNet_GDConv_SE of cunjian/pytorch_face_landmark',
  inputs: [{ name: 'input', shape: [1, 3, 224, 224] }],
  ...gdconvKeys,
  build: (nn, input) => {
    const features = gdconvBody(nn, input!);
    const weighted = nn.squeezeExcite(features, 'attention', { squeeze: 160, bias: false });
    return { output: gdconvHead(nn, weighted, 7) };
  },
};
