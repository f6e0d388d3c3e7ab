/**
 * What the pickles of a weight file would do in Python: a verdict on the globals they name, and for each of them what
 * unpickling it means. Nothing of it ever happens here.
 *
 * torch.load(weights_only=True) takes data globals alone; torch.load(weights_only=False) and pickle.load import the
 * module of every global and run what is called.
 */
import type { Finding } from '../core/report.ts';
import type { GlobalUse, WeightFile, WeightFormat } from '../formats/state-dict.ts';
import type { InspectWeightsData, Verdict } from '../report/schemas/inspect.ts';

/** A file that was opened to be described. */
type Described = Pick<WeightFile, 'format' | 'globals' | 'findings'>;

type Autopsy = NonNullable<InspectWeightsData['autopsy']>;

const PICKLED: ReadonlySet<WeightFormat> = new Set<WeightFormat>([
  'torch-zip',
  'torch-legacy',
  'torch-tar',
  'torchscript',
  'torch-dcp',
]);

/** Formats that hold a program of torch's own beside the weights. */
const PROGRAMS: ReadonlySet<WeightFormat> = new Set<WeightFormat>(['torchscript', 'pt2']);

/** What dangerous names do; the first pattern that fits says it. */
const EFFECTS: readonly (readonly [names: RegExp, effect: string])[] = [
  [/[^\w.]/, 'hides its real name behind unusual characters'],
  [/^(builtins|__builtin__)\.(eval|exec|execfile|compile)$/, 'runs text as Python code'],
  [
    /^((builtins|__builtin__)\.__import__$|importlib\.|runpy\.|_?imp\.|pkgutil\.|zipimport\.|site\.)/,
    'imports and runs a module',
  ],
  [/^(builtins|__builtin__)\.(open|file)$/, 'opens, writes or deletes files'],
  [/^(builtins|__builtin__)\.(input|raw_input|breakpoint)$/, 'stops the program and obeys what is typed'],
  [
    /^(builtins|__builtin__)\.|\.__\w+__$/,
    'reaches into other objects, usually to get at eval or exec unseen',
  ],
  [
    /^(os|posix|nt)\.(system|popen|exec\w*|spawn\w*|fork\w*|startfile|posix_spawnp?)$/,
    'runs a shell command or program',
  ],
  [
    /^(subprocess|_posixsubprocess|pty|commands|popen2|asyncio\.subprocess|pexpect|sh)\./,
    'runs a shell command or program',
  ],
  [/^(os|posix|nt|posixpath|ntpath)\./, 'changes files, variables or processes of the system'],
  [
    /^(shutil|_?io|_pyio|tempfile|pathlib|fileinput|linecache|zipfile|tarfile|gzip|bz2|lzma|sqlite3|dbm|mmap|fsspec)\./,
    'opens, writes or deletes files',
  ],
  [
    /^(timeit|cProfile|profile|pdb|bdb|doctest|code|codeop|trace|idlelib|IPython|numexpr|asteval|torch\.compile)\b/,
    'runs text or functions as code',
  ],
  [
    /^(_?pickle|cPickle|pickle5|dill|cloudpickle|marshal|shelve|joblib|jsonpickle|klepto|torch\.load$|torch\.storage\.)\b/,
    'unpickles more bytes, which may name anything',
  ],
  [/^(torch\.hub|torch\.utils\.model_zoo|huggingface_hub)\b/, 'downloads code or data and uses it'],
  [
    /^(_?socket|_?ssl|urllib[23]?|requests|https?|httplib|httpx|ftplib|smtplib|poplib|imaplib|xmlrpc|telnetlib|webbrowser|aiohttp|paramiko|botocore|boto3?)\./,
    'connects to the network',
  ],
  [
    /^(_?ctypes|cffi|torch\.(jit|package|ops|classes|library|_ops|_classes)|torch\.utils\.cpp_extension)\b/,
    'loads or calls native or packaged code',
  ],
  [
    /^(threading|_thread|multiprocessing|asyncio|concurrent|torch\.multiprocessing)\b/,
    'starts threads or processes',
  ],
  [/^(pip|ensurepip|venv|setuptools|distutils)\./, 'installs packages'],
  [
    /^(sys|gc|inspect|_?types|_?operator|_?functools|weakref|atexit|signal)\./,
    'reaches into the interpreter, usually to get at other code unseen',
  ],
  [/\.(load\w*|save\w*|read_\w+|fromfile|from_file|genfromtxt|memmap)$/, 'reads or writes files'],
];

/** A class that the TorchScript program in the file defines: torch.jit.load makes its objects and imports nothing. */
const isOwnClass = (format: WeightFormat, { name }: GlobalUse): boolean =>
  format === 'torchscript' && name.startsWith('__torch__.');

const effectOf = (format: WeightFormat, use: GlobalUse): string => {
  const { name, kind, calls } = use;
  if (kind === 'data') return 'makes plain data';
  if (isOwnClass(format, use)) return 'makes an object of a class that the program in the file defines';
  const dot = name.lastIndexOf('.');
  const module = name.slice(0, dot);
  if (kind === 'opaque') {
    return calls === 0 ? `imports ${module}` : `imports ${module} and calls ${name.slice(dot + 1)}`;
  }
  const effect =
    EFFECTS.find(([names]) => names.test(name))?.[1] ?? `imports ${module} and runs what it finds`;
  return calls === 0 ? `nothing called it; where something does: ${effect}` : effect;
};

const RANK = { dangerous: 0, opaque: 1, data: 2 } as const;

const isForeign = (format: WeightFormat, use: GlobalUse): boolean =>
  use.kind === 'opaque' && !isOwnClass(format, use);

/** The rule of findings about what a pickle names or calls and must not. */
const REFUSED = 'checkpoint/refused-global';

const isRefusal = ({ level, rule }: Finding): boolean => level === 'error' && rule === REFUSED;

/**
 * safe: only data is named, or the format has no pickles. What is refused without a name is dangerous too, and what could
 * not be read to its end is opaque.
 */
export const verdictOf = ({ format, globals, findings }: Described): Verdict => {
  if (globals.some(({ kind }) => kind === 'dangerous')) return 'dangerous';
  if (globals.some((use) => isForeign(format, use))) return 'opaque';
  if (findings.some(isRefusal)) return 'dangerous';
  return findings.some(({ rule }) => rule === 'unread-pickle') ? 'opaque' : 'safe';
};

const meaningOf = (format: WeightFormat, verdict: Verdict, hasPickles: boolean): string => {
  const program = PROGRAMS.has(format) ? '; the program that it also holds is not judged' : '';
  if (!hasPickles) return `${format} files have no pickles, loading one runs no Python code${program}`;
  if (verdict === 'safe') return `the pickles make plain data only${program}`;
  return verdict === 'opaque'
    ? `the pickles name classes or functions that are not plain data; torch.load(weights_only=True) refuses them, weights_only=False imports and runs them${program}`
    : 'the pickles name code that no weights need: do not load the file in Python';
};

/** The verdict with its reasons, and a warning where only the reader can decide. */
export const autopsyOf = (
  file: Described,
): { readonly autopsy: Autopsy; readonly findings: readonly Finding[] } => {
  const { format, globals } = file;
  const verdict = verdictOf(file);
  const hasPickles = PICKLED.has(format) || globals.length > 0;
  const effects = [...globals]
    .sort((a, b) => RANK[a.kind] - RANK[b.kind])
    .map((use) => ({ name: use.name, kind: use.kind, effect: effectOf(format, use) }));
  const opaque = globals.filter((use) => isForeign(format, use)).length;
  const findings: Finding[] =
    opaque > 0
      ? [
          {
            level: 'warning',
            rule: 'opaque-globals',
            message: `${opaque} globals are not known as plain data`,
            hint: 'load the file in Python only where you trust its maker and have the packages it names',
          },
        ]
      : [];
  return { autopsy: { hasPickles, meaning: meaningOf(format, verdict, hasPickles), effects }, findings };
};
