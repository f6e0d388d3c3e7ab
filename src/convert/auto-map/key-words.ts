/** How keys are read: as words and numbers, and as segments between separators. */

/** `layer1_0.runningMean` is layer, 1, 0, running, Mean: separators, digits and capitals end a word. */
export const wordsOf = (key: string): string[] =>
  key.match(/\p{N}+|\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{L}/gu) ?? [];

const LEVELS = /[./:]+/;
const ANY_SEPARATOR = /[./:_\-\s]+/;

/** Whether most keys are separated by dots or slashes. */
export const hasLevels = (keys: readonly string[]): boolean =>
  keys.filter((key) => LEVELS.test(key)).length * 2 >= keys.length;

/** Splits keys at dots and slashes where most keys have them, otherwise at underscores and hyphens too. */
export const segmenterFor = (keys: readonly string[]): ((key: string) => string[]) => {
  const pattern = hasLevels(keys) ? LEVELS : ANY_SEPARATOR;
  return (key) => key.split(pattern);
};

export const isNumber = (word: string): boolean => /^\d{1,9}$/.test(word);

/** A word in lower case, a number without leading zeros. */
const plainWord = (word: string): string => (isNumber(word) ? String(Number(word)) : word.toLowerCase());

/** The words of a key, whatever its separators and capitals: `Fc_01.runningMean` is fc, 1, running, mean. */
export const plainKey = (key: string): string[] => wordsOf(key).map(plainWord);

/** Words in lower case, neighbours joined, numbers without leading zeros: what is left when style is taken away. */
export const plainWords = (words: readonly string[]): string[] => {
  const plain: string[] = [];
  let isJoined = false;
  for (const word of words) {
    const isDigits = isNumber(word);
    const text = plainWord(word);
    if (isJoined && !isDigits) plain[plain.length - 1] += text;
    else plain.push(text);
    isJoined = !isDigits;
  }
  return plain;
};

/** Words that name the same parameter in the libraries at hand (PyTorch, TensorFlow and Keras, Flax, Caffe, MXNet). */
const SYNONYMS: readonly (readonly string[])[] = [
  ['weight', 'kernel', 'gamma', 'scale', 'w', 'weights', 'filter', 'filters'],
  ['bias', 'beta', 'offset', 'b', 'biases', 'shift'],
  ['mean', 'mu'],
  ['var', 'variance'],
];

const CONCEPTS: ReadonlyMap<string, number> = new Map(
  SYNONYMS.flatMap((words, concept) => words.map((word): [string, number] => [word, concept])),
);

/** A word and its abbreviation: one begins with the other, which has three letters at least. */
const isShortFor = (a: string, b: string): boolean => {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.length >= 3 && !isNumber(short) && long.startsWith(short);
};

/** Whether two words in lower case may mean the same: equal, synonyms, or one short for the other. */
export const isSameWord = (a: string, b: string): boolean => {
  if (a === b || isShortFor(a, b)) return true;
  const concept = CONCEPTS.get(a);
  return concept !== undefined && concept === CONCEPTS.get(b);
};
