/**
 * torch.nn in ONNX: a builder whose methods carry the names, defaults and key layout of the PyTorch modules they stand
 * for, so that an architecture file reads like the module it describes.
 *
 * Parameters come from the state dict by key; shapes are tracked while building, so that a wrong input size is found
 * where it bites. Nodes are named by module path (`/features.0.0/Conv`), initializers by state-dict key. Everything is
 * float32 here; batch normalisation is folded and dtypes are changed when the graph is complete (finish.ts).
 */
import { OrthoError } from '../core/errors.ts';
import { float, int, ints } from '../ir/attribute.ts';
import type { Dim, Shape } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import type { Attributes, GraphWriter } from './graph-writer.ts';
import { axisOf, broadcastShapes, formatShape, type Pair, pair, productOf, windowedSize } from './shapes.ts';

export interface Conv2dOptions {
  /** Output channels. */
  readonly out: number;
  readonly kernel: Pair;
  readonly stride?: Pair;
  readonly padding?: Pair;
  readonly dilation?: Pair;
  readonly groups?: number;
  readonly bias?: boolean;
}

export interface PoolOptions {
  readonly kernel: Pair;
  /** Defaults to the kernel, as in torch. */
  readonly stride?: Pair;
  readonly padding?: Pair;
  readonly ceilMode?: boolean;
}

export interface SqueezeExciteOptions {
  /** Channels between the two convolutions. */
  readonly squeeze: number;
  readonly bias?: boolean;
  readonly gate?: 'sigmoid' | 'hardsigmoid';
}

export class Nn {
  readonly #writer: GraphWriter;
  readonly #prefix: string;

  /** A builder that writes with `writer`; `prefix` is the path of the module whose scope it is. */
  constructor(writer: GraphWriter, prefix = '') {
    this.#writer = writer;
    this.#prefix = prefix;
  }

  /** The same network, with keys that continue `key`: `scope('features').conv2d(x, '0.0', …)`. */
  scope(key: string): Nn {
    return new Nn(this.#writer, this.#path(key));
  }

  /** Dimension `axis` of a parameter in the state dict, for widths that vary; `fallback` where the key is absent. */
  sizeOf(key: string, axis: number, fallback: number): number {
    return this.#writer.parameters.sizeOf(this.#path(key), axis) ?? fallback;
  }

  // Layers with parameters

  /** torch.nn.Conv2d on [N, C, H, W]: weight [out, C / groups, kh, kw], bias [out]. */
  conv2d(x: Value, key: string, options: Conv2dOptions): Value {
    const { out, groups = 1, bias = true } = options;
    const path = this.#path(key);
    const shape = this.#image(x, path);
    const kernel = pair(options.kernel);
    const stride = pair(options.stride ?? 1);
    const padding = pair(options.padding ?? 0);
    const dilation = pair(options.dilation ?? 1);
    const channels = this.#fixed(shape, 1, path, 'channels');
    if (channels % groups !== 0 || out % groups !== 0)
      throw new OrthoError('internal/bug', `${path}: ${channels} → ${out} channels in ${groups} groups`);
    const inputs = [x, this.#writer.parameter(`${path}.weight`, [out, channels / groups, ...kernel])];
    if (bias) inputs.push(this.#writer.parameter(`${path}.bias`, [out]));
    const size = this.#slide(shape, { kernel, stride, padding, dilation, ceilMode: false }, path);
    return this.#writer.node('Conv', path, inputs, [shape[0] as Dim, out, ...size], {
      dilations: ints(dilation),
      group: int(groups),
      kernel_shape: ints(kernel),
      pads: ints([...padding, ...padding]),
      strides: ints(stride),
    });
  }

  /** torch.nn.BatchNorm2d (and 1d) over dimension 1, in evaluation mode. */
  batchNorm2d(x: Value, key: string, { eps = 1e-5 }: { readonly eps?: number } = {}): Value {
    const path = this.#path(key);
    const channels = this.#fixed(this.#shape(x, path), 1, path, 'channels');
    const inputs = [
      x,
      this.#writer.parameter(`${path}.weight`, [channels], 1),
      this.#writer.parameter(`${path}.bias`, [channels], 0),
      this.#writer.parameter(`${path}.running_mean`, [channels], 0),
      this.#writer.parameter(`${path}.running_var`, [channels], 1),
    ];
    this.#writer.parameters.skip(`${path}.num_batches_tracked`, []);
    return this.#writer.node('BatchNormalization', path, inputs, x.shape, { epsilon: float(eps) });
  }

  /** torch.nn.Linear over the last dimension: weight [out, in], bias [out]. */
  linear(
    x: Value,
    key: string,
    { out, bias = true }: { readonly out: number; readonly bias?: boolean },
  ): Value {
    const path = this.#path(key);
    const shape = this.#shape(x, path);
    const features = this.#fixed(shape, shape.length - 1, path, 'features');
    const weight = this.#writer.parameter(`${path}.weight`, [out, features]);
    const biases = bias ? [this.#writer.parameter(`${path}.bias`, [out])] : [];
    const result = [...shape.slice(0, -1), out];
    if (shape.length === 2)
      return this.#writer.node('Gemm', path, [x, weight, ...biases], result, { transB: int(1) });
    const transposed = this.#writer.node('Transpose', path, [weight], [features, out], {
      perm: ints([1, 0]),
    });
    const product = this.#writer.node('MatMul', path, [x, transposed], result);
    return biases.length === 0 ? product : this.#writer.node('Add', path, [product, ...biases], result);
  }

  /** torch.nn.PReLU: one slope, or one for each channel (dimension 1). */
  prelu(x: Value, key: string, { slopes = 1 }: { readonly slopes?: number } = {}): Value {
    const path = this.#path(key);
    const shape = this.#shape(x, path);
    if (slopes !== 1 && this.#fixed(shape, 1, path, 'channels') !== slopes)
      throw new OrthoError('internal/bug', `${path}: ${slopes} slopes for ${formatShape(shape)}`);
    const tensor = this.#writer.parameters.take(`${path}.weight`, [slopes], 0.25);
    const dims = shape.length > 2 ? [slopes, ...Array.from({ length: shape.length - 2 }, () => 1)] : [slopes];
    return this.#writer.node(
      'PRelu',
      path,
      [x, this.#writer.weight(`${path}.weight`, { ...tensor, dims })],
      shape,
    );
  }

  /** torchvision's SqueezeExcitation: x · gate(fc2(relu(fc1(mean over H and W)))); both fc are 1×1 convolutions. */
  squeezeExcite(x: Value, key: string, options: SqueezeExciteOptions): Value {
    const se = this.scope(key);
    const { squeeze, bias = true, gate = 'sigmoid' } = options;
    const channels = this.#fixed(this.#image(x, se.#prefix), 1, se.#prefix, 'channels');
    let scale = se.adaptiveAvgPool2d(x, 1, 'avg_pool');
    scale = se.relu(se.conv2d(scale, 'fc1', { out: squeeze, kernel: 1, bias }), 'relu');
    scale = se.conv2d(scale, 'fc2', { out: channels, kernel: 1, bias });
    return se.mul(x, se[gate](scale, gate));
  }

  // Activations

  relu(x: Value, key = ''): Value {
    return this.#writer.node('Relu', this.#path(key), [x], x.shape);
  }

  relu6(x: Value, key = ''): Value {
    return this.clamp(x, 0, 6, key);
  }

  /** torch.clamp: min and max as scalars, which every node with the same limits shares. */
  clamp(x: Value, min: number, max: number, key = ''): Value {
    return this.#writer.node(
      'Clip',
      this.#path(key),
      [x, this.#writer.scalar(min), this.#writer.scalar(max)],
      x.shape,
    );
  }

  sigmoid(x: Value, key = ''): Value {
    return this.#writer.node('Sigmoid', this.#path(key), [x], x.shape);
  }

  /** relu6(x + 3) / 6. */
  hardsigmoid(x: Value, key = ''): Value {
    return this.#writer.node('HardSigmoid', this.#path(key), [x], x.shape, {
      alpha: float(1 / 6),
      beta: float(0.5),
    });
  }

  /** x · relu6(x + 3) / 6; the operator itself exists from opset 14 on. */
  hardswish(x: Value, key = ''): Value {
    if (this.#writer.opset >= 14) return this.#writer.node('HardSwish', this.#path(key), [x], x.shape);
    return this.#writer.node('Mul', this.#path(key), [x, this.hardsigmoid(x, key)], x.shape);
  }

  softmax(x: Value, dim: number, key = ''): Value {
    const path = this.#path(key);
    const axis = axisOf(dim, this.#shape(x, path).length);
    return this.#writer.node('Softmax', path, [x], x.shape, { axis: int(axis) });
  }

  // Pooling

  maxPool2d(x: Value, options: PoolOptions, key = ''): Value {
    return this.#pool('MaxPool', x, options, key, {});
  }

  /** torch.nn.AvgPool2d; padding zeros count, as torch's default has it. */
  avgPool2d(x: Value, options: PoolOptions, key = ''): Value {
    return this.#pool('AveragePool', x, options, key, { count_include_pad: int(1) });
  }

  /** torch.nn.AdaptiveAvgPool2d, for sizes that divide the input. @throws op/unsupported for others. */
  adaptiveAvgPool2d(x: Value, size: Pair, key = ''): Value {
    const path = this.#path(key);
    const shape = this.#image(x, path);
    const [height, width] = pair(size);
    if (height === 1 && width === 1)
      return this.#writer.node('GlobalAveragePool', path, [x], [...shape.slice(0, 2), 1, 1]);
    const [h, w] = [this.#fixed(shape, 2, path, 'rows'), this.#fixed(shape, 3, path, 'columns')];
    if (h % height !== 0 || w % width !== 0) {
      throw new OrthoError(
        'op/unsupported',
        `${path}: AdaptiveAvgPool2d from ${h}×${w} to ${height}×${width} has windows of several sizes`,
        { at: { node: path }, hint: 'choose an input size of which the output size is a divisor' },
      );
    }
    return this.avgPool2d(x, { kernel: [h / height, w / width] }, key);
  }

  /** Tensor.mean over `dims`. */
  mean(x: Value, dims: readonly number[], { keepdim = false }: { readonly keepdim?: boolean } = {}): Value {
    const path = this.#path('');
    const shape = this.#shape(x, path);
    const axes = dims.map((dim) => axisOf(dim, shape.length));
    const result = shape.flatMap((dim, i) => (!axes.includes(i) ? [dim] : keepdim ? [1] : []));
    const keepdims = int(keepdim ? 1 : 0);
    if (this.#writer.opset < 18)
      return this.#writer.node('ReduceMean', path, [x], result, { axes: ints(axes), keepdims });
    return this.#writer.node('ReduceMean', path, [x, this.#writer.int64s(axes)], result, { keepdims });
  }

  // Shape and arithmetic

  /** torch.flatten from `startDim` to the end; with 1 the same as `x.view(N, -1)`. */
  flatten(x: Value, startDim = 1): Value {
    const path = this.#path('');
    const shape = this.#shape(x, path);
    const start = axisOf(startDim, shape.length);
    const result = [...shape.slice(0, start), productOf(shape.slice(start))];
    if (start === 1) return this.#writer.node('Flatten', path, [x], result, { axis: int(1) });
    const target = [...shape.slice(0, start).map(() => 0), -1];
    return this.#writer.node('Reshape', path, [x, this.#writer.int64s(target)], result);
  }

  permute(x: Value, dims: readonly number[]): Value {
    const path = this.#path('');
    const shape = this.#shape(x, path);
    const perm = dims.map((dim) => axisOf(dim, shape.length));
    return this.#writer.node(
      'Transpose',
      path,
      [x],
      perm.map((axis) => shape[axis] as Dim),
      { perm: ints(perm) },
    );
  }

  add(a: Value, b: Value): Value {
    return this.#binary('Add', a, b);
  }

  mul(a: Value, b: Value): Value {
    return this.#binary('Mul', a, b);
  }

  cat(values: readonly Value[], dim: number): Value {
    const path = this.#path('');
    const shapes = values.map((value) => this.#shape(value, path));
    const first = shapes[0] ?? [];
    const axis = axisOf(dim, first.length);
    const result = first.map((size, i) => {
      const sizes = shapes.map((shape) => shape[i] as Dim);
      if (i !== axis) return sizes.find((other) => typeof other === 'number') ?? size;
      return sizes.reduce<Dim>(
        (sum, next) => (typeof sum === 'number' && typeof next === 'number' ? sum + next : null),
        0,
      );
    });
    return this.#writer.node('Concat', path, values, result, { axis: int(axis) });
  }

  // Inside

  #binary(op: 'Add' | 'Mul', a: Value, b: Value): Value {
    const path = this.#path('');
    const [left, right] = [this.#shape(a, path), this.#shape(b, path)];
    const shape = broadcastShapes(left, right);
    if (shape === undefined)
      throw inputShapeError(path, `${op} of ${formatShape(left)} and ${formatShape(right)}`);
    return this.#writer.node(op, path, [a, b], shape);
  }

  #pool(op: 'MaxPool' | 'AveragePool', x: Value, options: PoolOptions, key: string, more: Attributes): Value {
    const path = this.#path(key);
    const shape = this.#image(x, path);
    const kernel = pair(options.kernel);
    const stride = pair(options.stride ?? options.kernel);
    const padding = pair(options.padding ?? 0);
    const { ceilMode = false } = options;
    if (ceilMode && [0, 1].some((i) => padding[i]! > 0 || stride[i]! > kernel[i]!)) {
      throw new OrthoError(
        'op/unsupported',
        `${path}: ceil_mode with padding or with a stride beyond the kernel means different sizes in torch and ONNX`,
        { at: { node: path } },
      );
    }
    const size = this.#slide(shape, { kernel, stride, padding, dilation: [1, 1], ceilMode }, path);
    return this.#writer.node(op, path, [x], [...shape.slice(0, 2), ...size], {
      ceil_mode: int(ceilMode ? 1 : 0),
      kernel_shape: ints(kernel),
      pads: ints([...padding, ...padding]),
      strides: ints(stride),
      ...more,
    });
  }

  #slide(
    shape: Shape,
    window: {
      readonly kernel: readonly number[];
      readonly stride: readonly number[];
      readonly padding: readonly number[];
      readonly dilation: readonly number[];
      readonly ceilMode: boolean;
    },
    path: string,
  ): Dim[] {
    return [0, 1].map((i) => {
      const result = windowedSize(shape[i + 2] as Dim, {
        kernel: window.kernel[i]!,
        stride: window.stride[i]!,
        padding: window.padding[i]!,
        dilation: window.dilation[i]!,
        ceilMode: window.ceilMode,
      });
      if (result !== undefined) return result;
      throw inputShapeError(
        path,
        `a window of ${window.kernel.join('×')} does not fit into ${formatShape(shape)}`,
      );
    });
  }

  #path(key: string): string {
    return this.#prefix === '' || key === '' ? this.#prefix + key : `${this.#prefix}.${key}`;
  }

  #shape(x: Value, path: string): Shape {
    if (x.shape === undefined) throw new OrthoError('internal/bug', `${path}: "${x.name}" has no known rank`);
    return x.shape;
  }

  #image(x: Value, path: string): Shape {
    const shape = this.#shape(x, path);
    if (shape.length === 4) return shape;
    throw inputShapeError(path, `[N, C, H, W] expected, found ${formatShape(shape)}`);
  }

  #fixed(shape: Shape, axis: number, path: string, what: string): number {
    const size = shape[axis];
    if (typeof size === 'number') return size;
    throw inputShapeError(path, `the number of ${what} must be known, found ${formatShape(shape)}`);
  }
}

const inputShapeError = (path: string, what: string): OrthoError =>
  new OrthoError('usage/input-shape', `${path === '' ? 'the network' : path}: ${what}`, {
    at: { node: path },
    hint: 'give --input-shape (or --dynamic) dimensions that this architecture can take',
  });
