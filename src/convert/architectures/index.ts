/** Every architecture, by name. To add one: write its file and list it here. */
import type { Architecture } from '../architecture.ts';
import { gdconv } from './gdconv.ts';
import { gdconvSe } from './gdconv-se.ts';
import { gdconv56 } from './gdconv56.ts';
import { mobilenetV2 } from './mobilenet-v2.ts';
import { mobilenetv2Bottleneck } from './mobilenetv2-bottleneck.ts';
import { mobilenetv3Xl19Large } from './mobilenetv3-xl19-large.ts';
import { mobilenetv3Xl19Small } from './mobilenetv3-xl19-small.ts';
import { onet } from './onet.ts';
import { pnet } from './pnet.ts';
import { rnet } from './rnet.ts';

export const architectures = {
  gdconv,
  gdconv56,
  'gdconv-se': gdconvSe,
  mobilenet_v2: mobilenetV2,
  'mobilenetv2-bottleneck': mobilenetv2Bottleneck,
  'mobilenetv3-xl19-small': mobilenetv3Xl19Small,
  'mobilenetv3-xl19-large': mobilenetv3Xl19Large,
  pnet,
  rnet,
  onet,
} as const satisfies Record<string, Architecture>;
