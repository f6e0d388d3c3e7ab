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

test('the best comes first, ties in alphabetical order', () => {
  expect(nearestNames('layer1', ['layer3', 'layer2', 'layers1', 'layer1'], 3)).toEqual([
    'layer1',
    'layer2',
    'layer3',
  ]);
});
