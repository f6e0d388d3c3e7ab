/** ai.onnx.ml: classical machine learning. X is [N, features] (or [features]). */
import type { DType } from '../../core/dtype.ts';
import { type Dim, tensorType, type ValueType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

const rowsOf = (call: Call): Dim => {
  const shape = call.shape(0);
  return shape === undefined ? null : shape.length === 1 ? 1 : (shape[0] ?? null);
};

/** Labels [N] and scores [N, classes]. */
const classifier =
  (strings: string, ints: string): Rule =>
  (call) => {
    const names = call.attribute(strings);
    const numbers = call.attribute(ints);
    const isText = names?.kind === 'strings' && names.value.length > 0;
    const classes = isText
      ? names.value.length
      : numbers?.kind === 'ints' && numbers.value.length > 0
        ? numbers.value.length
        : null;
    const rows = rowsOf(call);
    return [tensorType(isText ? 'string' : 'int64', [rows]), tensorType('float32', [rows, classes])];
  };

const regressor =
  (targets: string): Rule =>
  (call) =>
    call.out('float32', [rowsOf(call), call.int(targets, 1)]);

/** The output type follows from which attribute holds the values. */
const labelEncoder: Rule = (call) => {
  const shape = call.shape(0);
  if (call.attribute('values_strings')) return call.out('string', shape);
  if (call.attribute('values_int64s')) return call.out('int64', shape);
  if (call.attribute('values_floats')) return call.out('float32', shape);
  const tensor = call.tensor('values_tensor');
  if (tensor) return call.out(tensor.dtype, shape);
  return call.out(call.dtype(0) === 'string' ? 'int64' : 'string', shape);
};

const CAST_TO: Readonly<Record<string, DType>> = {
  TO_FLOAT: 'float32',
  TO_INT64: 'int64',
  TO_STRING: 'string',
};

const castMap: Rule = (call) => {
  const size = call.string('map_form') === 'SPARSE' ? (call.int('max_map') ?? null) : null;
  return call.out(CAST_TO[call.string('cast_to') ?? 'TO_FLOAT'], [1, size]);
};

const dictVectorizer: Rule = (call) => {
  const type = call.type(0);
  const value = type?.kind === 'map' && type.value?.kind === 'tensor' ? type.value.dtype : undefined;
  const vocabulary = call.attribute('string_vocabulary') ?? call.attribute('int64_vocabulary');
  const size = vocabulary?.kind === 'strings' || vocabulary?.kind === 'ints' ? vocabulary.value.length : null;
  return call.out(value, [1, size]);
};

const zipMap: Rule = (call): ValueType[] => {
  const key: DType = call.attribute('classlabels_strings') ? 'string' : 'int64';
  return [{ kind: 'sequence', element: { kind: 'map', key, value: tensorType('float32', []) } }];
};

/** X[.., Y]: the picked features along the last axis. */
const arrayFeatureExtractor: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === undefined) return call.out(call.dtype(0), undefined);
  const picked = call.shape(1)?.at(-1) ?? null;
  return call.out(call.dtype(0), shape.length === 1 ? [1, picked] : [...shape.slice(0, -1), picked]);
};

const oneHotEncoder: Rule = (call) => {
  const categories = call.attribute('cats_strings') ?? call.attribute('cats_int64s');
  const size = categories?.kind === 'strings' || categories?.kind === 'ints' ? categories.value.length : null;
  const shape = call.shape(0);
  return call.out('float32', shape && [...shape, size]);
};

const featureVectorizer: Rule = (call) => {
  const sizes = call.ints('inputdimensions');
  const total = sizes?.reduce((a, b) => a + b, 0) ?? null;
  return call.out('float32', [rowsOf(call), isKnown(total) ? total : null]);
};

const like: Rule = (call) => call.like(0);

export const mlRules: RuleTable = {
  ArrayFeatureExtractor: arrayFeatureExtractor,
  Binarizer: like,
  CastMap: castMap,
  CategoryMapper: (call) => call.out(call.dtype(0) === 'string' ? 'int64' : 'string', call.shape(0)),
  DictVectorizer: dictVectorizer,
  FeatureVectorizer: featureVectorizer,
  Imputer: like,
  LabelEncoder: labelEncoder,
  LinearClassifier: classifier('classlabels_strings', 'classlabels_ints'),
  LinearRegressor: regressor('targets'),
  Normalizer: (call) => call.out('float32', call.shape(0)),
  OneHotEncoder: oneHotEncoder,
  SVMClassifier: classifier('classlabels_strings', 'classlabels_ints'),
  SVMRegressor: (call) => call.out('float32', [rowsOf(call), 1]),
  Scaler: (call) => call.out('float32', call.shape(0)),
  TreeEnsemble: (call) => call.out(call.dtype(0), [rowsOf(call), call.int('n_targets') ?? null]),
  TreeEnsembleClassifier: classifier('classlabels_strings', 'classlabels_int64s'),
  TreeEnsembleRegressor: regressor('n_targets'),
  ZipMap: zipMap,
};
