import { expect, test } from 'vitest';
import { nearestNames } from '../../src/core/nearest.ts';

test.each([
  ['inspct', ['inspect', 'remap', 'bench'], ['inspect']],
  ['iNSPECT', ['inspect'], ['inspect']],
  ['bnech', ['bench', 'remap'], ['bench']],
  ['xyzzy', ['inspect', 'remap', 'bench'], []],
  ['', ['a'], ['a']],
  ['conv1.weight', ['module.conv1.weight', 'fc.bias'], ['module.conv1.weight']],
])('%s', (word, names, expected) => expect(nearestNames(word, names)).toEqual(expected));

test('the best comes first, an equal name is none of them', () => {
  expect(nearestNames('layer1', ['layer33', 'layer2', 'layer1'])).toEqual(['layer2', 'layer33']);
});
