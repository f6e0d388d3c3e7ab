import { expect, test } from 'vitest';
import type { Architecture } from '../../src/convert/architecture.ts';
import { architectures } from '../../src/convert/architectures/index.ts';
import { dryBuild } from '../../src/convert/build.ts';
import {
  architectureNamed,
  closestArchitecture,
  detectArchitecture,
  findHidingPrefix,
  noArchitectureError,
} from '../../src/convert/detect.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';
import { keysOf } from './key-lists.ts';

const prefixed = (tensors: ReadonlyMap<string, WeightTensor>, prefix: string): Map<string, WeightTensor> =>
  new Map([...tensors].map(([key, tensor]) => [prefix + key, tensor]));

test('a checkpoint with a few wrong keys is still recognised, so that the keys can be named', () => {
  const tensors = keysOf('xl19_small');
  tensors.delete('bneck.4.conv1.weight');
  tensors.set('bneck.4.conv1.waight', keysOf('xl19_small').get('bneck.4.conv1.weight')!);
  const found = detectArchitecture(tensors);
  expect(found?.architecture.name).toBe('mobilenetv3-xl19-small');
  expect(found?.match).toMatchObject({
    missing: ['bneck.4.conv1.weight'],
    unexpected: ['bneck.4.conv1.waight'],
  });
});

test('a later generation of a network is not taken for the earlier one', () => {
  const tensors = keysOf('xl23_small');
  expect(detectArchitecture(tensors)).toBeUndefined();
  expect(noArchitectureError('x.pth', tensors)).toMatchObject({
    code: 'convert/no-architecture',
    message: expect.stringContaining('nearest: mobilenetv3-xl19-small'),
  });
});

test('a stranger is nobody', () => {
  const tensors = keysOf('resnet18');
  expect(detectArchitecture(tensors)).toBeUndefined();
  expect(findHidingPrefix(tensors)).toBeUndefined();
  expect(noArchitectureError('x.pth', tensors).exitCode).toBe(4);
  expect(detectArchitecture(new Map())).toBeUndefined();
});

test.each(['module.', 'model.', 'net.body.', 'a.b.c.'])(
  'the prefix %s that hides a network is found',
  (prefix) => {
    const hidden = prefixed(keysOf('tv_mnv2'), prefix);
    expect(detectArchitecture(hidden)).toBeUndefined();
    expect(findHidingPrefix(hidden)).toMatchObject({ prefix, candidate: { score: 1 } });
    expect(findHidingPrefix(hidden, architectures.mobilenet_v2)).toMatchObject({ prefix });
    expect(findHidingPrefix(hidden, architectures.onet)).toBeUndefined();
  },
);

test('an unknown name comes with the nearest one', () => {
  expect(architectureNamed('onet')).toBe(architectures.onet);
  expect(() => architectureNamed('gdcnv')).toThrow(
    expect.objectContaining({ code: 'usage/unknown-name', hint: expect.stringContaining('"gdconv"') }),
  );
  expect(() => architectureNamed('constructor')).toThrow(expect.objectContaining({ exitCode: 2 }));
});

test.each(Object.values<Architecture>(architectures))('$name has landmarks of its own', (architecture) => {
  const { requests } = dryBuild(architecture, new Map()).parameters;
  const { landmarks = [] } = architecture;
  expect(landmarks.length).toBeGreaterThan(2);
  expect(landmarks.filter((key) => requests.get(key)?.needed !== true)).toEqual([]);
});

test.each(['gdconv', 'gdconv_se', 'tv_mnv2', 'xl19_small', 'xl19_large', 'xl23_small', 'resnet18'])(
  'the architecture closest to %s is the one that a full search finds',
  (name) => {
    const tensors = keysOf(name);
    const [closest, found] = [closestArchitecture(tensors), detectArchitecture(tensors)];
    expect(closest?.isRecognised ?? false).toBe(found !== undefined);
    if (found !== undefined) expect(closest?.candidate.architecture).toBe(found.architecture);
    const hidden = closestArchitecture(prefixed(tensors, 'model.net.'));
    expect(hidden?.isRecognised ?? false).toBe(found !== undefined);
    if (found !== undefined) expect(hidden).toMatchObject({ prefix: 'model.net.', candidate: found });
  },
);

test('the closest architecture is named although it is another one', () => {
  const closest = closestArchitecture(keysOf('xl23_small'));
  expect(closest).toMatchObject({ prefix: '', isRecognised: false });
  expect(closest?.candidate.architecture.name).toBe('mobilenetv3-xl19-small');
  expect(closest?.candidate.score).toBeLessThan(0.7);
  expect(closestArchitecture(new Map())).toBeUndefined();
});
