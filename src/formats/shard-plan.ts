/**
 * Spreads a state dict over several files as Hugging Face's libraries do, and names them in an index: tensors in their
 * order, a new shard where the next would make the last one too large; a tensor larger than the limit has a shard of
 * its own. https://huggingface.co/docs/huggingface_hub/package_reference/serialization
 */
import type { WeightTensor } from './state-dict.ts';

type Tensors = ReadonlyMap<string, WeightTensor>;

interface Group {
  readonly names: string[];
  bytes: number;
}

/** Tied tensors stay together, at the place of the first. */
const groupsOf = (tensors: Tensors, bytesOf: (tensor: WeightTensor) => number): Iterable<Group> => {
  const groups = new Map<string, Group>();
  for (const [name, tensor] of tensors) {
    const first = tensor.sharedWith ?? name;
    const group = groups.get(first) ?? { names: [], bytes: 0 };
    groups.set(first, group);
    group.names.push(name);
    group.bytes += bytesOf(tensor);
  }
  return groups.values();
};

/**
 * The tensors of each shard: at most `limit` bytes of data each, unless one tensor (with what is tied to it) is larger.
 * @param bytesOf the bytes that a tensor takes in a file.
 */
export const planShards = (
  tensors: Tensors,
  limit: number,
  bytesOf: (tensor: WeightTensor) => number = ({ data }) => data.size,
): Tensors[] => {
  const shards: Map<string, WeightTensor>[] = [];
  let shard = new Map<string, WeightTensor>();
  let size = 0;
  for (const { names, bytes } of groupsOf(tensors, bytesOf)) {
    if (size > 0 && size + bytes > limit) {
      shards.push(shard);
      shard = new Map();
      size = 0;
    }
    for (const name of names) shard.set(name, tensors.get(name)!);
    size += bytes;
  }
  if (shard.size > 0) shards.push(shard);
  return shards;
};

/** `model-00002-of-00003.safetensors` for the second of three shards of `model.safetensors`; counted from 0. */
export const shardName = (output: string, shard: number, shards: number): string => {
  const dot = output.lastIndexOf('.');
  const five = (number: number): string => String(number).padStart(5, '0');
  return `${output.slice(0, dot)}-${five(shard + 1)}-of-${five(shards)}${output.slice(dot)}`;
};

/** JSON in ASCII, as Python writes it. */
const quoted = (text: string): string =>
  JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/**
 * The index of a set of shards: which file each tensor is in, sorted by name, and the bytes of all of them.
 * @param names the files' names, without their folder.
 */
export const shardIndexText = (
  shards: readonly Tensors[],
  names: readonly string[],
  totalSize: number,
): string => {
  const places = shards.flatMap((tensors, i) => [...tensors.keys()].map((key) => [key, names[i]!] as const));
  places.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  // Written line by line: an object would put keys like "0" first and lose "__proto__".
  const lines = places.map(([key, file]) => `    ${quoted(key)}: ${quoted(file)}`);
  const map = lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n  }`;
  return `{\n  "metadata": {\n    "total_size": ${totalSize}\n  },\n  "weight_map": ${map}\n}\n`;
};
