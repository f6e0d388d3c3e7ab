/**
 * Globals that no weights need and that attacks on unpicklers name.
 */
import type { PickleGlobal } from './pickle-values.ts';

/** Modules of which every name is dangerous, submodules included. */
const MODULES: ReadonlySet<string> = new Set(
  (
    'os posix nt posixpath ntpath sys subprocess pty shutil socket runpy importlib imp ctypes pickle _pickle cPickle ' +
    'dill cloudpickle marshal shelve code codeop commands popen2 webbrowser multiprocessing threading _thread asyncio ' +
    'timeit cProfile profile pdb bdb doctest pip ensurepip venv urllib urllib2 requests http ftplib smtplib xmlrpc'
  ).split(' '),
);
const BUILTINS: ReadonlySet<string> = new Set(
  'eval exec execfile compile open file input raw_input __import__ breakpoint globals locals vars setattr delattr'.split(
    ' ',
  ),
);

const isBuiltins = (module: string): boolean => module === 'builtins' || module === '__builtin__';

/** Whether a file that names this global is to be refused as a whole. */
export const isDangerous = ({ module, name }: PickleGlobal): boolean =>
  MODULES.has(module.split('.')[0] ?? '') || (isBuiltins(module) && BUILTINS.has(name.split('.')[0] ?? ''));
