/** One operator at a time, with symbolic and unknown dimensions, and the older forms of an operator. */
import { describe, expect, test } from 'vitest';
import { inferOne } from './support.ts';

type Row = readonly [inputs: string, call: string, outputs: string | readonly string[], opset?: number];

const families: Readonly<Record<string, readonly Row[]>> = {
  elementwise: [
    ['float[N,3] x', 'Relu (x)', 'float32[N,3]'],
    ['float[N,1,4] a, float[5,1] b', 'Add (a, b)', 'float32[N,5,4]'],
    ['float[N,4] a, float[M,4] b', 'Mul (a, b)', 'float32[?,4]'],
    ['float[N,4] a, float[N,4] b', 'Less (a, b)', 'bool[N,4]'],
    ['float[2,3,4] a, float[3] b', 'Add <axis = 1, broadcast = 1> (a, b)', 'float32[2,3,4]', 6],
    ['float[2] a, float[] b', 'Add (a, b)', 'float32'],
    ['bool[3,1] c, int32[4] a, int32[1] b', 'Where (c, a, b)', 'int32[3,4]'],
    ['float[2,N] x', 'Cast <to = 10> (x)', 'float16[2,N]'],
    ['float[2,3] x', 'Dropout (x)', ['float32[2,3]', 'bool[2,3]']],
    ['float[2,3] x', 'Dropout (x)', ['float32[2,3]', 'float32[2,3]'], 7],
    ['float[2,3] a, float[1] b, float[2,1] c', 'Max (a, b, c)', 'float32[2,3]'],
  ],
  convolution: [
    ['float[N,3,32,32] x, float[8,3,3,3] w', 'Conv (x, w)', 'float32[N,8,30,30]'],
    ['float[1,3,H,W] x, float[8,3,3,3] w', 'Conv <pads = [1,1,1,1]> (x, w)', 'float32[1,8,H,W]'],
    ['float[1,3,H,W] x, float[8,3,3,3] w', 'Conv <strides = [2,2]> (x, w)', 'float32[1,8,?,?]'],
    [
      'float[1,4,33,20] x, float[8,1,3,3] w',
      'Conv <group = 4, strides = [2,2], dilations = [2,1], pads = [1,0,1,2]> (x, w)',
      'float32[1,8,16,10]',
    ],
    [
      'float[1,3,33] x, float[8,3,4] w',
      'Conv <auto_pad = "SAME_UPPER", strides = [2]> (x, w)',
      'float32[1,8,17]',
    ],
    ['float[1,4,5,5] x, float[4,3,3,3] w', 'ConvTranspose <strides = [2,2]> (x, w)', 'float32[1,3,11,11]'],
    [
      'float[1,4,5,5] x, float[4,3,3,3] w',
      'ConvTranspose <strides = [2,2], group = 2, pads = [1,1,1,1], output_padding = [1,1]> (x, w)',
      'float32[1,6,10,10]',
    ],
    [
      'float[1,4,5,5] x, float[4,3,3,3] w',
      'ConvTranspose <strides = [2,2], output_shape = [10,9]> (x, w)',
      'float32[1,3,10,9]',
    ],
    ['uint8[1,3,8,8] x, int8[4,3,3,3] w', 'ConvInteger (x, w)', 'int32[1,4,6,6]'],
  ],
  pooling: [
    [
      'float[1,3,7,7] x',
      'MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)',
      ['float32[1,3,3,3]', 'int64[1,3,3,3]'],
    ],
    [
      'float[1,3,7,7] x',
      'MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)',
      'float32[1,3,4,4]',
    ],
    // The last window would start in the padding: it is left out.
    [
      'float[1,1,2,2] x',
      'AveragePool <kernel_shape = [1,1], strides = [2,2], ceil_mode = 1, pads = [0,0,1,1]> (x)',
      'float32[1,1,1,1]',
    ],
    ['float[N,C,H,W] x', 'GlobalAveragePool (x)', 'float32[N,C,1,1]'],
  ],
  normalization: [
    [
      'float[N,C,4] x, float[8] s, float[8] b, float[8] m, float[8] v',
      'BatchNormalization (x, s, b, m, v)',
      'float32[N,8,4]',
    ],
    [
      'float[N,5,8] x, float[8] s',
      'LayerNormalization (x, s)',
      ['float32[N,5,8]', 'float32[N,5,1]', 'float32[N,5,1]'],
    ],
    ['float[N,5] x', 'Softmax (x)', 'float32[N,5]'],
  ],
  matrix: [
    ['float[B,2,3] a, float[3,4] b', 'MatMul (a, b)', 'float32[B,2,4]'],
    ['float[3] a, float[5,3,4] b', 'MatMul (a, b)', 'float32[5,4]'],
    ['float[3] a, float[3] b', 'MatMul (a, b)', 'float32[]'],
    ['float[3,N] a, float[4,3] b, float[4] c', 'Gemm <transA = 1, transB = 1> (a, b, c)', 'float32[N,4]'],
    ['float[B,i] a, float[i,4] b', 'Einsum <equation = "bi,ij->bj"> (a, b)', 'float32[B,4]'],
    ['float[2,B,3] a, float[B,3,5] b', 'Einsum <equation = "h...i,...ij"> (a, b)', 'float32[B,2,5]'],
    ['float[N,3,3] a', 'Det (a)', 'float32[N]'],
  ],
  reshape: [
    ['float[N,8,16] x', 'Flatten <axis = 1> (x)', 'float32[N,128]'],
    ['float[N,1,4,1] x', 'Squeeze <axes = [1, -1]> (x)', 'float32[N,4]', 11],
    ['float[1,3,1] x', 'Squeeze (x)', 'float32[3]'],
    ['float[N,1] x', 'Squeeze (x)', 'float32'],
    ['float[N,4] x', 'Unsqueeze <axes = [0, -1]> (x)', 'float32[1,N,4,1]', 11],
    ['float[N,12,H,4] x', 'DepthToSpace <blocksize = 2> (x)', 'float32[N,3,?,8]'],
    ['float[N,3,8,4] x', 'SpaceToDepth <blocksize = 2> (x)', 'float32[N,12,4,2]'],
  ],
  movement: [
    ['float[N,2,3] x', 'Transpose <perm = [2, 0, 1]> (x)', 'float32[3,N,2]'],
    ['float[N,2,3] x', 'Transpose (x)', 'float32[3,2,N]'],
    ['float[N,2] a, float[N,3] b', 'Concat <axis = -1> (a, b)', 'float32[N,5]'],
    ['float[M,2] a, float[3,2] b', 'Concat <axis = 0> (a, b)', 'float32[?,2]'],
    ['float[N,10] x', 'Split <axis = 1, num_outputs = 2> (x)', ['float32[N,5]', 'float32[N,5]'], 18],
    ['float[N,7] x', 'Split <axis = 1, num_outputs = 2> (x)', ['float32[N,4]', 'float32[N,3]'], 18],
    ['float[7,N] x', 'Split <axis = 0, split = [3, 4]> (x)', ['float32[3,N]', 'float32[4,N]'], 11],
    ['float[10,N] x', 'Slice <starts = [-3], ends = [9999]> (x)', 'float32[3,N]', 9],
    ['float[1,2] x', 'Pad <pads = [0, 1, 2, 3]> (x)', 'float32[3,6]', 10],
    ['float[N,2,3] x', 'Shape <start = -2> (x)', 'int64[2]'],
  ],
  indexing: [
    ['float[N,5,6] x, int64[2,K] i', 'Gather <axis = 1> (x, i)', 'float32[N,2,K,6]'],
    ['float[N,5,6] x, int64 i', 'Gather <axis = 1> (x, i)', 'float32[N,6]'],
    ['float[2,5,6] x, int64[K,2] i', 'GatherND (x, i)', 'float32[K,6]'],
    ['float[2,5,6] x, int64[2,K,1] i', 'GatherND <batch_dims = 1> (x, i)', 'float32[2,K,6]'],
    ['float[N,5] x, int64[N,2] i', 'GatherElements <axis = 1> (x, i)', 'float32[N,2]'],
    ['float[N,5] x', 'NonZero (x)', 'int64[2,?]'],
    ['float[N,5] x', 'TopK <k = 3> (x)', ['float32[N,3]', 'int64[N,3]'], 9],
  ],
  reduction: [
    ['float[N,3,4] x', 'ReduceMean <axes = [-1]> (x)', 'float32[N,3,1]'],
    ['float[N,3,4] x', 'ReduceMean <axes = [1, 2], keepdims = 0> (x)', 'float32[N]'],
    ['float[N,3,4] x', 'ReduceSum <keepdims = 0> (x)', 'float32[]'],
    ['float[N,3,4] x', 'ReduceSum <noop_with_empty_axes = 1> (x)', 'float32[N,3,4]'],
    ['float[N,3,4] x', 'ArgMax <axis = 2, keepdims = 0> (x)', 'int64[N,3]'],
  ],
  recurrent: [
    [
      'float[S,B,10] x, float[2,80,10] w, float[2,80,20] r',
      'LSTM <hidden_size = 20, direction = "bidirectional"> (x, w, r)',
      ['float32[S,2,B,20]', 'float32[2,B,20]', 'float32[2,B,20]'],
    ],
    [
      'float[B,S,10] x, float[1,60,10] w, float[1,60,20] r',
      'GRU <hidden_size = 20, layout = 1> (x, w, r)',
      ['float32[B,S,1,20]', 'float32[B,1,20]'],
    ],
  ],
  quantization: [
    ['float[N,3] x, float s, int8 z', 'QuantizeLinear (x, s, z)', 'int8[N,3]'],
    ['float[N,3] x, float s', 'QuantizeLinear (x, s)', 'uint8[N,3]'],
    ['int8[N,3] x, float16 s', 'DequantizeLinear (x, s)', 'float16[N,3]', 19],
    ['float[N,3] x', 'DynamicQuantizeLinear (x)', ['uint8[N,3]', 'float32[]', 'uint8[]']],
  ],
  resampling: [
    ['float[1,3,H,W] x', 'Upsample <scales = [1.0, 1.0, 2.0, 2.0]> (x)', 'float32[1,3,?,?]', 8],
    ['float[1,3,4,5] x', 'Upsample <scales = [1.0, 1.0, 2.0, 1.5]> (x)', 'float32[1,3,8,7]', 8],
    ['float[N,3,4,5] x, float[N,7,8,2] g', 'GridSample (x, g)', 'float32[N,3,7,8]'],
  ],
  sequences: [
    ['float[2,3] a, float[4,3] b', 'SequenceConstruct (a, b)', 'seq(float32[?,3])'],
    ['seq(float[2,N]) s', 'ConcatFromSequence <axis = 0> (s)', 'float32[?,N]'],
    ['float[4,N] x', 'SplitToSequence <keepdims = 0> (x)', 'seq(float32[N])'],
    ['seq(float[2,N]) s, int64 i', 'SequenceAt (s, i)', 'float32[2,N]'],
  ],
  attention: [
    [
      'float[B,T,64] q, float[B,S,32] k, float[B,S,32] v',
      'Attention <q_num_heads = 8, kv_num_heads = 4> (q, k, v)',
      'float32[B,T,64]',
      23,
    ],
    [
      'float[B,8,T,16] q, float[B,8,S,16] k, float[B,8,S,12] v',
      'Attention (q, k, v)',
      'float32[B,8,T,12]',
      23,
    ],
  ],
  generators: [
    ['float[N] x', 'RandomNormal <shape = [2, 3], dtype = 11> ()', 'float64[2,3]'],
    ['float[N,4] x', 'RandomNormalLike (x)', 'float32[N,4]'],
    ['float[N,4] x', 'EyeLike <dtype = 7> (x)', 'int64[N,4]'],
  ],
};

for (const [family, rows] of Object.entries(families)) {
  describe(family, () => {
    test.each(rows)('%s | %s', (inputs, call, expected, opset) => {
      const types = typeof expected === 'string' ? [expected] : expected;
      const names = types.map((_, i) => `y${i}`);
      const { outputs, problems } = inferOne(inputs, call, opset, names);
      expect(problems).toEqual([]);
      expect(outputs).toEqual(types);
    });
  });
}

describe('com.microsoft', () => {
  test.each([
    ['float[1,3,8,8] x, float[4,3,3,3] w', 'FusedConv <activation = "Relu"> (x, w)', 'float32[1,4,6,6]'],
    ['float[B,2,3] a, float[B,4,3] b', 'FusedMatMul <transB = 1> (a, b)', 'float32[B,2,4]'],
    ['float[B,5,8] x, float[8] b', 'BiasGelu (x, b)', 'float32[B,5,8]'],
    [
      'float[B,5,64] x, uint8[32,2,16] w, float[64] s',
      'MatMulNBits <K = 64, N = 32> (x, w, s)',
      'float32[B,5,32]',
    ],
    ['uint8[1,8,8,3] x', 'NhwcMaxPool <kernel_shape = [2,2], strides = [2,2]> (x)', 'uint8[1,4,4,3]'],
  ])('%s | %s', (inputs, call, expected) => {
    const { outputs, problems } = inferOne(
      inputs,
      `com.microsoft.${call}`,
      17,
      ['y'],
      ', "com.microsoft": 1',
    );
    expect(problems).toEqual([]);
    expect(outputs).toEqual([expected]);
  });
});
