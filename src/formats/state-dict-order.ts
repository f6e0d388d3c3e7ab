/**
 * Which of several state dicts is taken when nobody says: ordinary weights before averaged ones (`ema`, `swa`,
 * `teacher` in the path); then the usual names, in the order below (the top level is ''), before other names; then
 * file order.
 */

const NAMES = [
  'state_dict',
  'model_state_dict',
  'model',
  'net',
  'network',
  'module',
  'weights',
  'params',
  '',
];

const isAveraged = (path: string): boolean => /(^|[._])(ema|swa|teacher|averaged?)([._]|$)/i.test(path);

const nameRank = (path: string): number => {
  const rank = NAMES.indexOf(path.slice(path.lastIndexOf('.') + 1));
  return rank < 0 ? NAMES.length : rank;
};

/** Smaller is better; equals stay in file order. */
export const stateDictRank = (path: string): number => nameRank(path) + (isAveraged(path) ? 100 : 0);

/** Why the first of these paths, ordered as above, was taken. */
export const whyFirst = (paths: readonly string[]): string => {
  const [first, second] = paths;
  if (first === undefined || second === undefined) return 'the only one';
  if (!isAveraged(first) && isAveraged(second)) return 'ordinary weights come before averaged ones';
  const [rank, next] = [nameRank(first), nameRank(second)];
  if (rank < next) return first === '' ? 'the top level' : 'the usual name';
  return 'the first in the file';
};
