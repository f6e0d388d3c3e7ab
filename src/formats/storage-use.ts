/**
 * Storages that the tensors of a checkpoint use little of: torch.save writes the whole storage of a view, so a slice of
 * a large tensor drags all of it into the file.
 */
import { dtypeInfo } from '../core/dtype.ts';
import type { Finding } from '../core/report.ts';
import type { StorageRecord, TensorRecord } from './torch-tensor.ts';

/** Bytes of a storage that nobody reads before it is worth a word, and the least part of it that has to be read. */
const WORTH_SAYING = 64 * 1024;
const USED_PART = 0.5;
const MAX_FINDINGS = 20;

interface Use {
  /** The first key that shows a part of the storage. */
  readonly key: string;
  readonly views: Set<string>;
  /** Bytes of all distinct views: no less than what they cover together. */
  bytes: number;
}

const viewBytes = ({ dims, strides, dtype }: TensorRecord): number =>
  // A dimension of stride 0 repeats the same bytes.
  dims.reduce((bytes, dim, axis) => (strides[axis] === 0 && dim > 0 ? bytes : bytes * dim), 1) *
  (dtypeInfo(dtype).bits / 8);

/** A note for each storage of which the tensors show less than half. */
export const storageFindings = (
  tensors: Iterable<readonly [key: string, record: TensorRecord]>,
  label: string,
): Finding[] => {
  const uses = new Map<StorageRecord, Use>();
  for (const [key, record] of tensors) {
    if (record.storage.byteLength < WORTH_SAYING) continue;
    const use = uses.get(record.storage) ?? { key, views: new Set<string>(), bytes: 0 };
    uses.set(record.storage, use);
    if (use.views.has(record.viewKey)) continue;
    use.views.add(record.viewKey);
    use.bytes += viewBytes(record);
  }
  const wasteful = [...uses].filter(
    ([{ byteLength }, { bytes }]) => byteLength - bytes >= WORTH_SAYING && bytes < byteLength * USED_PART,
  );
  const findings = wasteful.slice(0, MAX_FINDINGS).map(([{ byteLength }, { key, views, bytes }]): Finding => {
    const what = views.size === 1 ? `"${key}" shows` : `"${key}" and ${views.size - 1} more tensors show`;
    return {
      level: 'note',
      rule: 'large-storage',
      message: `${what} ${bytes} bytes of a storage that takes ${byteLength} in the file`,
      hint: 'a remapped copy holds only what is shown; in Python, clone() a view before saving it',
      at: { file: label, key },
    };
  });
  if (wasteful.length > MAX_FINDINGS) {
    findings.push({
      level: 'note',
      rule: 'large-storage',
      message: `${wasteful.length - MAX_FINDINGS} more storages of which the tensors show less than half`,
      at: { file: label },
    });
  }
  return findings;
};
