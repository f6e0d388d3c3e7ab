/**
 * One item of a `.distcp` file of torch.distributed.checkpoint: a whole torch.save archive in a range of the file.
 * Tensors are opened when they are first read: a large checkpoint has tens of thousands of parts.
 */
import { byteLengthOf, type DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, checkRange } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import type { PickleBudget } from './pickle.ts';
import type { PickleValue } from './pickle-values.ts';
import type { OpenOptions } from './state-dict.ts';
import { ArchiveStorages, isBigEndian, readPickle, rootOf } from './torch-archive.ts';
import { TorchHost } from './torch-host.ts';
import { readTorchZip } from './torch-zip.ts';
import { openZip, type ZipArchive } from './zip.ts';

/** The archive of an item; `label` names file and key. @throws OrthoError checkpoint/unsupported, checkpoint/invalid */
export const recordArchive = (source: ByteSource, label: string): ZipArchive => {
  const head = source.read(0, Math.min(4, source.size));
  if (Buffer.from(head).toString('latin1') !== 'PK\x03\x04') {
    throw new OrthoError('checkpoint/unsupported', `${label}: the item is no archive of torch.save`, {
      hint: 'checkpoints that were saved through a stream extension are not read',
    });
  }
  return openZip(source, { label, code: 'checkpoint/invalid' });
};

/** The object of an item, and the host that read it; all items share a budget. Damage and refused calls throw. */
export const recordObject = (
  source: ByteSource,
  label: string,
  options: OpenOptions,
  budget: PickleBudget,
): { readonly object: PickleValue; readonly host: TorchHost } => {
  const archive = recordArchive(source, label);
  const root = rootOf(archive, label);
  const pickle = archive.entries.get(`${root}data.pkl`);
  if (pickle === undefined) {
    throw new OrthoError('checkpoint/invalid', `${label}: an archive without ${root}data.pkl`, {
      hint: 'the file is damaged; copy it again',
    });
  }
  const storages = new ArchiveStorages(archive, `${root}data/`, label, isBigEndian(archive, root, label));
  const host = new TorchHost((id, machine) => storages.resolve(id, machine), options, budget);
  const object = readPickle(pickle, root, label, host);
  host.refuseCalls();
  return { object, host };
};

/** The bytes of a tensor that is an item of its own; the item is opened when they are first asked for. */
export class RecordSource implements ByteSource {
  readonly size: number;
  readonly #item: ByteSource;
  readonly #label: string;
  readonly #dtype: DType;
  readonly #dims: readonly number[];
  #data: ByteSource | undefined;

  constructor(item: ByteSource, label: string, dtype: DType, dims: readonly number[]) {
    this.#item = item;
    this.#label = label;
    this.#dtype = dtype;
    this.#dims = dims;
    this.size = byteLengthOf(dtype, elementCount(dims));
  }

  get path(): string | undefined {
    return this.#item.path;
  }

  #open(): ByteSource {
    const { stateDicts } = readTorchZip(recordArchive(this.#item, this.#label), this.#label);
    const [tensor]: (Tensor | undefined)[] = [...(stateDicts[0]?.tensors.values() ?? [])];
    const isBare = stateDicts.length === 1 && stateDicts[0]!.tensors.size === 1;
    const found =
      isBare && tensor !== undefined ? `${tensor.dtype} [${tensor.dims.join(', ')}]` : 'no single tensor';
    const expected = `${this.#dtype} [${this.#dims.join(', ')}]`;
    if (tensor !== undefined && found === expected) return tensor.data;
    throw new OrthoError(
      'checkpoint/invalid',
      `${this.#label}: the item holds ${found}, the metadata says ${expected}`,
      {
        hint: 'the files belong to different checkpoints; copy the folder again',
        ...(this.path === undefined ? {} : { at: { file: this.path } }),
      },
    );
  }

  #opened(): ByteSource {
    this.#data ??= this.#open();
    return this.#data;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return length === 0 ? new Uint8Array(0) : this.#opened().read(offset, length);
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    if (target.length > 0) this.#opened().readInto(target, offset);
  }
}
