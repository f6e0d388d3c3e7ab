/** The stored hostile files: what happens to each, and why. Three more that would be large are made when they are needed. */
import type { ErrorCode } from '../../src/core/errors.ts';

export interface HostileFile {
  readonly file: string;
  readonly verdict: ErrorCode | 'harmless';
  readonly reason: string;
  /** The kind of test/fuzz/hostile.ts that stands for it, where the file is not stored. */
  readonly madeBy?: string;
}

const file = (name: string, verdict: HostileFile['verdict'], reason: string): HostileFile => ({
  file: name,
  verdict,
  reason,
});

export const HOSTILE_FILES: readonly HostileFile[] = [
  file('bad_utf8.pth', 'checkpoint/invalid', 'a key that is no UTF-8'),
  file('binunicode8_len_2e63.pth', 'checkpoint/invalid', 'a string longer than the file'),
  file('build_on_dict.pth', 'harmless', 'attributes of a dict say nothing about tensors'),
  file('bytearray8_huge.pth', 'checkpoint/invalid', 'a bytearray longer than the file'),
  file(
    'duplicate_data_pkl.pth',
    'checkpoint/invalid',
    'two entries of one name: two readers would see two files',
  ),
  file('ext_registry.pth', 'checkpoint/refused-global', 'names a class by a number of the copyreg registry'),
  file('git_lfs_pointer.pth', 'file/unknown-format', 'a Git LFS pointer, not the file itself'),
  file('huge_memo_index.pth', 'checkpoint/invalid', 'more than one object on the stack at its end'),
  file(
    'legacy_bad_magic.pth',
    'checkpoint/unsupported',
    'a pickle without the magic number of a PyTorch file',
  ),
  file('legacy_os_system_in_sysinfo.pth', 'checkpoint/refused-global', 'names os.system in the system info'),
  file(
    'legacy_says_big_endian.pth',
    'checkpoint/unsupported',
    'its writer contradicts itself: PyTorch writes little-endian data',
  ),
  file('long1_255_bytes.pth', 'harmless', 'an integer of 255 bytes is only a number'),
  file('newobj_ex.pth', 'checkpoint/refused-global', 'makes a subprocess.Popen'),
  file('obj_opcode.pth', 'checkpoint/refused-global', 'calls os.system by OBJ'),
  file('persid_not_tuple.pth', 'checkpoint/invalid', 'a persistent id that names no storage'),
  file('proto_pollution_keys.pth', 'harmless', 'foreign keys live in maps'),
  file('reduce_os_system.pth', 'checkpoint/refused-global', 'calls os.system by REDUCE'),
  file('self_recursive_dict.pth', 'harmless', 'every container is visited once'),
  file('stack_global_eval.pth', 'checkpoint/refused-global', 'names exec by STACK_GLOBAL'),
  file('storage_key_traversal.pth', 'checkpoint/invalid', 'a storage key that leaves the archive'),
  file('storage_named_global.pth', 'checkpoint/refused-global', 'an unknown function as a storage class'),
  file('storage_record_long.pth', 'harmless', 'a record longer than its storage is read, with a warning'),
  file('storage_two_dtypes.pth', 'checkpoint/invalid', 'one storage under two element types'),
  file('surrogate.pth', 'checkpoint/invalid', 'a key with half a surrogate pair'),
  file('tensor_neg_offset.pth', 'checkpoint/invalid', 'a tensor that begins before its storage'),
  file('tensor_neg_stride.pth', 'checkpoint/invalid', 'a negative stride, which PyTorch has not'),
  file('tensor_overflow_2e63.pth', 'checkpoint/invalid', 'sizes and strides whose product overflows'),
  file('tensor_size_past_end.pth', 'checkpoint/invalid', 'a tensor that leaves its storage'),
  file('tensor_stride_past_end.pth', 'checkpoint/invalid', 'a tensor that leaves its storage'),
  file('truncated_half.pth', 'checkpoint/invalid', 'cut off: the directory at the end is gone'),
  file('zipslip.pth', 'checkpoint/invalid', 'an entry name that leaves the archive'),
  {
    ...file('deep_nesting_100k.pth', 'harmless', '100,000 nested lists are walked without recursion'),
    madeBy: '100,000 nested lists',
  },
  {
    ...file('mark_flood.pth', 'file/limit', 'more open marks than any writer makes'),
    madeBy: 'a million marks',
  },
  {
    ...file('zip_bomb_200MB.pth', 'file/limit', 'a storage that inflates a thousandfold'),
    madeBy: 'storage that inflates a thousandfold',
  },
];
