/**
 * Pickles that reading weights does not need (objects in NumPy arrays, sample inputs of programs, the items of
 * distributed checkpoints) and that Python runs all the same when it loads the file. They are read to be judged: what
 * they name is written down, nothing else is kept.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { ByteSource } from '../core/source.ts';
import { PickleBudget, unpickle } from './pickle.ts';
import { PickleReader } from './pickle-reader.ts';
import type { WeightFile } from './state-dict.ts';
import { TorchHost } from './torch-host.ts';
import { readTorchZip } from './torch-zip.ts';
import { openZip } from './zip.ts';

/** Bytes of a pickle that is looked at. */
const MAX_PICKLE = 64 * 1024 * 1024;

type Judged = Pick<WeightFile, 'globals' | 'findings'>;

const isRefusal = ({ level, rule }: Finding): boolean =>
  level === 'error' && rule === 'checkpoint/refused-global';

/** A pickle without storages. */
const judgePickle = (source: ByteSource, label: string): Judged => {
  const host = new TorchHost(() => null, { describe: true }, new PickleBudget(source.size));
  const findings: Finding[] = [];
  try {
    unpickle(new PickleReader(source, label), host);
  } catch (error) {
    findings.push(unread(error, label));
  }
  return { globals: host.globals(), findings: [...host.findings(label), ...findings] };
};

/** A torch.save archive. */
const judgeArchive = (source: ByteSource, label: string): Judged => {
  try {
    const archive = openZip(source, { label, code: 'checkpoint/invalid' });
    const { globals, findings } = readTorchZip(archive, label, { describe: true });
    return { globals, findings: findings.filter(isRefusal) };
  } catch (error) {
    return { globals: [], findings: [unread(error, label)] };
  }
};

/** @throws what is no OrthoError */
const unread = (error: unknown, label: string): Finding => {
  if (!(error instanceof OrthoError)) throw error;
  return {
    level: 'warning',
    rule: 'unread-pickle',
    message: `a pickle could not be followed to its end, so what it does is not known: ${error.message}`,
    at: { file: label },
  };
};

/** What the pickle or the archive of torch.save in `source` names; nothing where it is neither. */
export const judge = (source: ByteSource, label: string): Judged => {
  const head = Buffer.from(source.read(0, Math.min(4, source.size))).toString('latin1');
  if (head === 'PK\x03\x04') return judgeArchive(source, label);
  if (!/^\x80[\x01-\x05]/.test(head)) return { globals: [], findings: [] };
  if (source.size <= MAX_PICKLE) return judgePickle(source, label);
  const error = new OrthoError('file/limit', `${label}: ${source.size} bytes (at most ${MAX_PICKLE})`);
  return { globals: [], findings: [unread(error, label)] };
};
