/** Which globals of a pickle no weights need. Names are written as `module name`, as GLOBAL has them. */
import { describe, expect, it } from 'vitest';
import { isDangerous } from '../../src/formats/pickle-danger.ts';
import { PickleGlobal } from '../../src/formats/pickle-values.ts';

const isBad = (text: string): boolean => {
  const [module = '', name = ''] = text.split(' ');
  return isDangerous(new PickleGlobal(module, name));
};
const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

describe('dangerous', () => {
  it.each(
    lines(`
      os system
      posix system
      nt system
      sys modules
      os.path os.system
      subprocess Popen
      pty spawn
      socket socket
      shutil rmtree
      runpy _run_code
      importlib import_module
      importlib.util spec_from_file_location
      builtins eval
      builtins exec
      builtins getattr
      builtins __import__
      builtins open
      builtins compile
      builtins breakpoint
      builtins globals
      builtins map
      builtins apply
      __builtin__ execfile
      __builtin__ getattr
      builtins str.format.__globals__
      operator attrgetter
      operator itemgetter
      _operator methodcaller
      functools partial
      _functools reduce
      types FunctionType
      types CodeType
      types ModuleType
      typing get_type_hints
      collections namedtuple
      collections _sys.modules
      dataclasses make_dataclass
      random _os.system
      random _os
      enum sys.modules
      torch load
      torch.hub load
      torch.jit load
      torch.jit.unsupported_tensor_ops execWrapper
      torch.package PackageImporter
      torch.utils.cpp_extension load_inline
      torch.utils._config_module ConfigModule.load_config
      torch.utils.collect_env run
      torch.utils.bottleneck.__main__ run_cprofile
      torch._dynamo.guards GuardBuilder.get
      torch._inductor.codecache compile_file
      torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression
      torch.fx.graph_module reduce_graph_module
      torch.storage _load_from_bytes
      torch.storage UntypedStorage.from_file
      torch FloatStorage.from_file
      torch.serialization load
      torch.serialization os.system
      torch.serialization os
      torch.nn.modules.module functools.partial
      torch serialization.os.system
      torch.multiprocessing.reductions rebuild_storage_fd
      torch.distributed.rpc rpc_sync
      numpy load
      numpy.testing._private.utils runstring
      numpy.f2py.crackfortran getlincoef
      numpy.lib.npyio load
      numpy.ctypeslib load_library
      pandas read_pickle
      joblib load
      pip main
      pip._internal main
      ctypes CDLL
      webbrowser open
      http.client HTTPSConnection
      httplib HTTPSConnection
      urllib.request urlopen
      urllib2 urlopen
      requests.api get
      aiohttp.client ClientSession
      asyncio.unix_events _UnixSubprocessTransport._start
      code InteractiveInterpreter.runcode
      codeop compile_command
      bdb Bdb.run
      pdb run
      doctest debug_script
      timeit timeit
      cProfile run
      profile Profile.runctx
      trace Trace.run
      idlelib.run Executive.runcode
      lib2to3.pgen2.grammar Grammar.loads
      distutils.file_util write_file
      pydoc locate
      ssl get_server_certificate
      ensurepip _run_pip
      venv create
      dill loads
      cloudpickle.cloudpickle _make_function
      marshal loads
      pickle loads
      _pickle loads
      cPickle loads
      _io open_code
      io open
      _codecs decode
      codecs open
      copyreg pickle
      copyreg add_extension
      logging.config fileConfig
      logging FileHandler
      multiprocessing.util log_to_stderr
      sqlite3 connect
      __main__ __builtins__
      __main__ os.system
      __main__ Net.forward.__globals__
      my.model Net.__init__
      PIL.Image open
      mypkg.utils _os.system
    `),
  )('%s', (name) => {
    expect(isBad(name)).toBe(true);
  });
  it.each([
    ['a fullwidth letter', 'ｏs system'],
    ['Cyrillic letters', 'оѕ ѕystem'],
    ['a Greek letter', 'subprοcess Popen'],
    ['a zero-width letter', 'o\u200bs system'],
    ['a soft hyphen', 'my.mod Ne\u00adt'],
    ['a right-to-left mark', 'my.mod \u202eteN'],
    ['a control character', 'my.mod Net\u0007'],
  ])('a name that hides itself: %s', (_, name) => {
    expect(isBad(name)).toBe(true);
  });
  it('a name with spaces', () => {
    expect(isDangerous(new PickleGlobal('my mod', 'Net'))).toBe(true);
  });
});

describe('not dangerous', () => {
  it.each(
    lines(`
      collections OrderedDict
      collections deque
      datetime datetime
      decimal Decimal
      pathlib PosixPath
      pathlib._local PosixPath
      uuid UUID
      re _compile
      enum Enum
      argparse Namespace
      types SimpleNamespace
      typing Any
      logging getLogger
      _io BytesIO
      copyreg __newobj__
      copy_reg _reconstructor
      builtins object
      builtins ValueError
      __builtin__ unicode
      exceptions KeyError
      operator mul
      random Random
      numpy.random._pickle __randomstate_ctor
      numpy.random mtrand.RandomState
      numpy ndarray
      torch.nn.modules.conv Conv2d
      torch.nn.functional relu
      torch._C _nn.gelu
      torch._C Generator
      torch.distributed.checkpoint.metadata Metadata
      torchvision.models.resnet ResNet
      timm.models.layers.create_norm NormAct
      omegaconf.dictconfig DictConfig
      ultralytics.nn.tasks DetectionModel
      mmengine.logging.history_buffer HistoryBuffer
      transformers.training_args TrainingArguments
      __main__ Net
      __main__ Trainer.Config
      test Net
      models.code Net
      src.profile.model Net
      mypkg.os_net System
      模型 网络
    `),
  )('%s', (name) => {
    expect(isBad(name)).toBe(false);
  });
});
