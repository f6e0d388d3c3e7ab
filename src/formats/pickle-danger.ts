/**
 * Globals that no weights need and that loading elsewhere may turn into running code, reading files or talking to the
 * network. ortho imports and calls nothing, so this judges a file, it does not protect ortho from it.
 *
 * Python's standard library and builtins are dangerous unless listed as harmless: attackers found uses for the most
 * unlikely corners of it. Of other packages the known gadgets are listed; what is unknown stays opaque.
 */
import { PickleGlobal, PickleObject, type PickleValue } from './pickle-values.ts';

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Top-level modules of Python 2.7 and 3.0 to 3.14, but for names that people give to files of their own (test, parser). */
const STANDARD_LIBRARY: ReadonlySet<string> = new Set(
  words(`
    __builtin__ __future__ __phello__ _abc _aix_support _android_support _apple_support _ast _asyncio
    _bisect _blake2 _bootlocale _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022
    _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _colorize _compat_pickle _compression
    _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal _distutils_hack
    _dummy_thread _elementtree _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq
    _hmac _imp _interpchannels _interpqueues _interpreters _io _ios_support _json _locale _lsprof _lzma
    _markupbase _md5 _msi _multibytecodec _multiprocessing _opcode _opcode_metadata _operator _osx_support
    _overlapped _pickle _posixshmem _posixsubprocess _py_abc _py_warnings _pydatetime _pydecimal _pyio
    _pylong _pyrepl _queue _random _remote_debugging _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _signal
    _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct _suggestions
    _symtable _sysconfig _testcapi _thread _threading_local _tkinter _tokenize _tracemalloc _types _typing
    _uuid _warnings _weakref _weakrefset _winapi _wmi _xxsubinterpreters _zoneinfo _zstd abc aifc
    annotationlib antigravity anydbm argparse array ast asynchat asyncio asyncore atexit audioop base64
    BaseHTTPServer Bastion bdb binascii binhex bisect bsddb builtins bz2 calendar cgi CGIHTTPServer cgitb
    clr cmath cmd code codecs codeop collections colorsys commands compileall compiler compression
    concurrent ConfigParser configparser contextlib contextvars Cookie cookielib copy copy_reg copyreg
    cPickle cProfile crypt cStringIO csv ctypes curses dataclasses datetime dbhash dbm decimal difflib
    dircache dis distutils dl doctest DocXMLRPCServer dumbdbm dummy_thread dummy_threading easy_install
    email encodings ensurepip enum errno exceptions faulthandler fcntl filecmp fileinput fnmatch fractions
    ftplib functools future_builtins gc gdbm genericpath getopt getpass gettext glob graphlib grp gzip
    hashlib heapq hmac hotshot html htmllib HTMLParser http httplib idlelib ihooks imaplib imghdr imp
    importlib imputil inspect io ipaddress itertools java json keyword lib2to3 linecache locale logging lzma
    macpath macurl2path mailbox mailcap marshal math mhlib mimetools mimetypes MimeWriter mimify mmap
    modulefinder msilib msvcrt multifile multiprocessing netrc new nis nntplib nt ntpath nturl2path numbers
    opcode operator optparse os os2 ossaudiodev pathlib pdb pickle pickletools pip pipes pkg_resources
    pkgutil platform plistlib popen2 poplib posix posixfile posixpath pprint profile pstats pty pwd
    py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rexec rfc822
    rlcompleter robotparser runpy sched secrets select selectors setuptools sgmllib shelve shlex shutil
    signal SimpleHTTPServer SimpleXMLRPCServer site smtpd smtplib sndhdr socket SocketServer socketserver
    spwd sqlite3 sre sre_compile sre_constants sre_parse ssl stat statistics statvfs string StringIO
    stringold stringprep strop struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile
    telnetlib tempfile termios textwrap thread threading time timeit Tkinter tkinter toaiff token tokenize
    tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib
    urllib2 urlparse UserDict UserList UserString uu uuid venv warnings wave weakref webbrowser whichdb
    winreg winsound wsgiref xdrlib xml xmllib xmlrpc xmlrpclib zipapp zipfile zipimport zlib zoneinfo
  `),
);

const CLASSES = /^[A-Z]\w*$/;
const PLAIN = /^[A-Za-z]\w*$/;

/** What the standard library has of plain values and arithmetic: by module, the names that are no danger. */
const HARMLESS: ReadonlyMap<string, RegExp> = new Map<string, RegExp>(
  (
    [
      [
        'abc argparse enum ipaddress numbers random statistics userdict UserDict UserList UserString uuid',
        CLASSES,
      ],
      [
        'fractions graphlib pathlib pathlib._local pathlib._abc zoneinfo collections.abc _collections_abc',
        CLASSES,
      ],
      [
        'datetime _datetime _pydatetime decimal _decimal _pydecimal array bisect calendar cmath math heapq',
        PLAIN,
      ],
      ['itertools', PLAIN],
      ['collections _collections', /^([A-Z]\w*|deque|defaultdict)$/],
      ['dataclasses', /^(Field|InitVar|_MISSING_TYPE|MISSING|field)$/],
      ['exceptions', /^[A-Z]\w*$/],
      [
        'builtins __builtin__',
        /^(object|type|int|long|float|complex|bool|str|unicode|basestring|bytes|bytearray|tuple|list|dict|set|frozenset|slice|x?range|Ellipsis|NotImplemented|abs|all|any|divmod|enumerate|len|max|min|pow|print|property|reversed|round|sorted|staticmethod|classmethod|sum|super|zip|NoneType|[A-Z]\w*(Error|Exception|Warning))$/,
      ],
      ['copyreg copy_reg', /^(_reconstructor|__newobj__|__newobj_ex__)$/],
      ['_codecs', /^encode$/],
      ['io _io', /^(BytesIO|StringIO)$/],
      ['types _types', /^(SimpleNamespace|MappingProxyType|GenericAlias|UnionType|NoneType|EllipsisType)$/],
      ['typing', /^(?!ForwardRef|NamedTuple|TypedDict)[A-Z]\w*$/],
      [
        'operator _operator',
        /^(add|sub|mul|matmul|truediv|floordiv|mod|pow|neg|pos|abs|lt|le|eq|ne|ge|gt|and_|or_|xor|not_)$/,
      ],
      ['re', /^(_compile|Pattern|RegexFlag)$/],
      ['logging', /^(getLogger|Logger|RootLogger|Formatter|PlaceHolder)$/],
      ['time', /^struct_time$/],
      ['weakref', /^(ref|WeakSet|WeakKeyDictionary|WeakValueDictionary)$/],
      ['contextlib', /^nullcontext$/],
    ] satisfies [string, RegExp][]
  ).flatMap(([modules, names]) => words(modules).map((module): [string, RegExp] => [module, names])),
);

/** Other packages of which nothing belongs into a checkpoint: they run code, load objects or reach out. */
const PACKAGES: ReadonlySet<string> = new Set(
  words(`
    IPython PyInstaller _distutils_hack _pydevd_bundle _pytest aiofiles aiohttp asyncssh asteval bentoml boto boto3
    botocore celery cffi clearml cloudpickle cloudpathlib conda cython dask dill distributed django execnet fabric
    fastapi fire flask fsspec gevent gradio greenlet h2 hickle httpcore httpx huggingface_hub invoke ipykernel
    jinja2 joblib jsonpickle jupyter klepto llvmlite mako mlflow nbconvert nbformat nltk nose notebook numba numexpr
    paramiko pathos pexpect pickle5 pikepdf plumbum ppft psutil ptyprocess pycurl pydevd pyimport pyximport
    pytest ray requests ruamel sacred scapy sh smart_open srsly streamlit sympy tblib tornado twisted urllib3
    uvicorn uvloop virtualenv websocket websockets werkzeug wheel win32api win32com wmi yaml zmq
  `),
);

/** Parts of numerical packages that load, write, compile or evaluate; a last component may name a function. */
const GADGETS: readonly string[] = words(`
  torch.load torch.save torch.hub torch.jit torch.package torch.compile torch.compiler torch.from_file torch.ops
  torch.classes torch.library torch.multiprocessing torch.onnx torch.profiler torch.export torch.fx torch.testing
  torch._dynamo torch._inductor torch._export torch._functorch torch._ops torch._classes torch._appdirs
  torch._custom_op torch._library torch._sources torch._utils_internal torch._tensor_str torch._jit_internal
  torch._vendor torch._weights_only_unpickler torch.serialization torch.storage._load_from_bytes
  torch.storage.UntypedStorage.from_file torch.UntypedStorage.from_file torch._C._import_ir_module
  torch._C._load_mobile_module_from_file torch._C._jit torch.distributed.rpc torch.distributed.run
  torch.distributed.launch torch.distributed.launcher torch.distributed.elastic
  torch.distributed.distributed_c10d._pickler torch.distributed.distributed_c10d._unpickler
  torch.distributed.distributed_c10d._tensor_to_object torch.distributed.nn.jit torch.cuda.memory._snapshot
  torch.cuda.jiterator torch.utils.cpp_extension torch.utils.model_zoo torch.utils.model_dump torch.utils.bottleneck
  torch.utils.collect_env torch.utils.tensorboard torch.utils.hipify torch.utils.mobile_optimizer torch.utils.bundled_inputs
  torch.utils._config_module torch.utils._cpp_extension_versioner torch.utils.data.datapipes
  torch.utils.data._utils torch.utils.benchmark torch.utils.file_baton torch.utils._freeze torch.utils.show_pickle
  torch.utils.viz torch.utils._pytree torch.nn.utils._expanded_weights torch.backends._nnapi
  numpy.load numpy.loads numpy.save numpy.savez numpy.savez_compressed numpy.savetxt numpy.loadtxt numpy.genfromtxt
  numpy.fromfile numpy.fromregex numpy.memmap numpy.DataSource numpy.vectorize numpy.frompyfunc
  numpy.apply_along_axis numpy.apply_over_axes numpy.fromfunction numpy.piecewise numpy.safe_eval numpy.testing
  numpy.f2py numpy.distutils numpy.ctypeslib numpy.compat numpy.memmap numpy.lib.npyio numpy.lib._npyio_impl
  numpy.lib.format numpy.lib._format_impl numpy.lib._datasource numpy.lib.utils numpy.lib._utils_impl
  numpy.core.memmap numpy._core.memmap numpy.core.multiarray.fromfile numpy._core.multiarray.fromfile
  numpy.core._internal numpy._core._internal numpy._pytesttester numpy.setup
  pandas.read_ pandas.io pandas.eval pandas.core.computation pandas.compat pandas.util._test_decorators
  scipy.io scipy._lib scipy.datasets scipy.LowLevelCallable scipy.weave
  sklearn.utils._testing sklearn.datasets sklearn.utils.fixes
  tensorflow.io tensorflow.raw_ops tensorflow.py_function tensorflow.numpy_function tensorflow.load_op_library
  tensorflow.load_library tensorflow.saved_model tensorflow.python.platform tensorflow.python.lib.io
  tensorflow.python.ops.script_ops keras.models keras.saving keras.layers.Lambda keras.src.saving keras.utils
  tensorflow.keras.models tensorflow.keras.layers.Lambda
  transformers.dynamic_module_utils transformers.utils.hub transformers.pipelines transformers.commands
  datasets.load hydra.utils hydra._internal pytorch_lightning.utilities.cloud_io lightning_fabric.utilities.cloud_io
  pytorch_lightning.cli lightning.pytorch.cli omegaconf.OmegaConf.load safetensors.torch.load_file
  polars.read_ pyarrow.serialization pyarrow.deserialize pyarrow.fs pyarrow.parquet pyarrow.csv
  mmengine.fileio mmcv.fileio mmengine.config mmcv.utils.config fastai.learner.load_learner
`);

const GADGET_PACKAGES: ReadonlySet<string> = new Set(GADGETS.map((gadget) => gadget.split('.')[0]!));

/** Attributes that lead from any object to modules, code and builtins. */
const ATTRIBUTES: ReadonlySet<string> = new Set(
  words(
    'os sys subprocess builtins importlib pickle cPickle shutil socket ctypes runpy pty posix nt marshal eval exec ' +
      'execfile system popen Popen getattr setattr compile open import_module load_library func_globals f_globals ' +
      'gi_frame f_back mro from_file',
  ),
);
const DUNDER = /^__.*__$/;

/** Letters of other alphabets that look like these Latin ones. */
const LOOK_ALIKES = new Map(
  [
    ...['аαa', 'сϲc', 'ԁd', 'еҽεe', 'ɡg', 'һh', 'іıιi', 'јj', 'κкk', 'ⅼӏl', 'мm', 'ոηn', 'оοօo'],
    ...['рρp', 'ԛq', 'гr', 'ѕs', 'тτt', 'υսu', 'νѵv', 'ԝw', 'хχx', 'уүγy', 'ᴢz', '＿_', '․．.'],
  ].flatMap((group) => {
    const letters = [...group];
    const latin = letters.at(-1)!;
    return letters.slice(0, -1).map((letter): [string, string] => [letter, latin]);
  }),
);
const plainLetters = (text: string): string =>
  [...text.normalize('NFKC')].map((letter) => LOOK_ALIKES.get(letter.toLowerCase()) ?? letter).join('');

const isUnder = (path: string, prefix: string): boolean =>
  path.startsWith(prefix) &&
  (path.length === prefix.length || path[prefix.length] === '.' || prefix.endsWith('_'));

/** Whether an attribute leads to a module or to code; modules are often imported under a name that begins with `_`. */
const isGateway = (attribute: string): boolean =>
  DUNDER.test(attribute) || ATTRIBUTES.has(attribute.replace(/^_+/, ''));
const isLibrary = (attribute: string): boolean => {
  const name = attribute.replace(/^_+/, '');
  return STANDARD_LIBRARY.has(name) && !HARMLESS.has(name);
};

/** Attributes of one name; nested classes have two or three. */
const MAX_ATTRIBUTES = 16;

const isDangerousName = (module: string, name: string): boolean => {
  const top = module.split('.')[0]!;
  // The last attribute is what is named; those before it are what it is looked up in, beginning with the module.
  const attributes = name.split('.');
  if (STANDARD_LIBRARY.has(top)) return HARMLESS.get(module)?.test(name) !== true || ATTRIBUTES.has(name);
  if (attributes.length > MAX_ATTRIBUTES) return true;
  if (attributes.some(isGateway) || attributes.slice(0, -1).some(isLibrary) || PACKAGES.has(top)) return true;
  const path = `${module}.${name}`;
  return GADGET_PACKAGES.has(top) && GADGETS.some((gadget) => isUnder(path, gadget));
};

/**
 * Whether no weights have a reason to name this global. Names that hide themselves (control and invisible characters,
 * letters of other alphabets that spell a dangerous name) are dangerous too.
 */
export const isDangerous = ({ module, name }: PickleGlobal): boolean => {
  if (isDangerousName(module, name)) return true;
  if (/^[\x21-\x7e]*$/.test(module + name)) return false;
  if (/[\p{C}\p{Z}\s]/u.test(module + name)) return true;
  const [plainModule, plainName] = [plainLetters(module), plainLetters(name)];
  return (plainModule !== module || plainName !== name) && isDangerousName(plainModule, plainName);
};

/** Something that is not named through a call: a class, a function, or an object of a class. */
const isPlainTarget = (value: PickleValue | undefined): boolean =>
  value instanceof PickleGlobal
    ? !isDangerous(value)
    : value instanceof PickleObject && !isDangerous(value.type);

const getattr = ([target, name]: readonly PickleValue[]): boolean => {
  if (!isPlainTarget(target) || typeof name !== 'string') return false;
  if (!/^[A-Za-z]\w{0,199}$/.test(name) || isGateway(name)) return false;
  // What it leads to could have been named as well.
  return !(target instanceof PickleGlobal && isDangerousName(target.module, `${target.name}.${name}`));
};
const partial = ([target]: readonly PickleValue[]): boolean => isPlainTarget(target);

/**
 * Functions that attacks need but that pickled models use as well, for bound methods and for layers with fixed
 * arguments: harmless as long as what they bind is, and as long as nothing calls their result.
 */
const BINDERS: ReadonlyMap<string, (args: readonly PickleValue[]) => boolean> = new Map([
  ['builtins.getattr', getattr],
  ['__builtin__.getattr', getattr],
  ['functools.partial', partial],
  ['_functools.partial', partial],
]);

/** For a function that only binds what it is given: whether these arguments are harmless. Others: undefined. */
export const binderOf = (value: PickleGlobal): ((args: readonly PickleValue[]) => boolean) | undefined =>
  value.name.includes('.') ? undefined : BINDERS.get(value.qualified);
