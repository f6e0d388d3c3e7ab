/** Strings and text features. */
import { tensorType } from '../../ir/type.ts';
import { broadcastInputs } from './elementwise.ts';
import type { Rule, RuleTable } from './types.ts';

/** [C] or [1, C] in, as many strings as are left out; nothing left gives one empty string. */
const stringNormalizer: Rule = (call) => {
  const shape = call.ranked(0, 1, 2);
  return call.out('string', shape?.length === 2 ? [1, null] : shape && [null]);
};

/** The pieces of each string along a new last axis, and their counts. */
const stringSplit: Rule = (call) => {
  const shape = call.shape(0);
  return [tensorType('string', shape && [...shape, null]), tensorType('int64', shape)];
};

/** [.., C] to [.., largest n-gram index + 1]. */
const tfIdfVectorizer: Rule = (call) => {
  const shape = call.ranked(0, 1, 2);
  const indexes = call.ints('ngram_indexes');
  if (indexes === undefined || indexes.length === 0) return call.out('float32', undefined);
  const size = indexes.reduce((a, b) => Math.max(a, b)) + 1;
  return call.out('float32', shape && [...shape.slice(0, -1), size]);
};

export const textRules: RuleTable = {
  StringConcat: (call) => call.out('string', broadcastInputs(call, [0, 1])),
  StringNormalizer: stringNormalizer,
  StringSplit: stringSplit,
  RegexFullMatch: (call) => call.out('bool', call.shape(0)),
  TfIdfVectorizer: tfIdfVectorizer,
};
