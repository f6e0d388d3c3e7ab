import { describe, expect, it } from 'vitest';
import { matchLabels, type NumberTrust } from '../../../src/convert/auto-map/label-match.ts';

const words = (labels: string): string[][] => labels.split(',').map((label) => label.trim().split(' '));

const partners = (from: string, to: string, trust: NumberTrust = 'shift'): number[] | undefined => {
  const match = matchLabels(words(from), words(to), trust);
  return match === undefined ? undefined : [...match.partner];
};

describe('labels that decide', () => {
  it.each<[string, string, string, number[]]>([
    ['equal ones', 'b, a', 'a, b', [1, 0]],
    ['equal but for style', 'Conv 01, Conv 02', 'conv 2, conv 1', [1, 0]],
    ['another word before the number', 'stage 1, stage 2', 'layer 1, layer 2', [0, 1]],
    ['shifted numbers', 'block 3, block 2, block 4', 'block 1, block 2, block 3', [1, 0, 2]],
    ['several numbers', 's 2 1, s 1 2, s 1 1', 'l 0 0, l 0 1, l 1 0', [2, 1, 0]],
    ['words that translate', 'skip 1, skip 2, norm 3', 'short 1, short 2, bn 3', [0, 1, 2]],
    ['a level that some got', 'x block 3 2, convolution 3 1', 'conv 3 1, block 3 2', [1, 0]],
    ['Keras counts from the second on', 'conv, conv 1, conv 2', 'c 1, c 2, c 3', [0, 1, 2]],
    [
      'synonyms',
      'gamma, beta, moving mean, moving variance',
      'weight, bias, running mean, running var',
      [0, 1, 2, 3],
    ],
    ['one left over', 'running mean, qqqq', 'running var, running mean', [1, 0]],
  ])('%s', (_, from, to, expected) => {
    expect(partners(from, to)).toEqual(expected);
  });
});

describe('labels that do not', () => {
  it.each<[string, string, string, NumberTrust]>([
    ['random words', 'kxq, pwm', 'mean, var', 'rank'],
    ['greek letters that are no parameters', 'alpha, gamma, beta, delta', 'weight, bias, mean, var', 'rank'],
    ['numbers at other distances', 'm 17, m 3', 'l 1, l 2', 'shift'],
    ['numbers that are not believed', 'm 2, m 3', 'l 1, l 2', 'none'],
    ['numbers behind random words', 'qa 1, zz 2', 'conv 1, conv 2', 'rank'],
    ['two left over', 'weight, x, y', 'weight, mean, var', 'rank'],
  ])('%s', (_, from, to, trust) => {
    expect(partners(from, to, trust)).toBeUndefined();
  });
  it('numbers at other distances count where order has been kept throughout', () => {
    expect(partners('m 17, m 3', 'l 1, l 2', 'rank')).toEqual([1, 0]);
  });
});
