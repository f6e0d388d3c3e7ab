import { describe, expect, it } from 'vitest';
import type { GlobalUse, WeightFormat } from '../../src/formats/state-dict.ts';
import { autopsyOf, verdictOf } from '../../src/inspect/global-autopsy.ts';

const file = (format: WeightFormat, ...globals: GlobalUse[]) => ({ format, globals, findings: [] });
const use = (name: string, kind: GlobalUse['kind'], calls = 1): GlobalUse => ({ name, kind, calls });
const data = use('collections.OrderedDict', 'data');
const opaque = use('my.models.Net', 'opaque');
const shell = use('posix.system', 'dangerous');

describe('the verdict', () => {
  it.each([
    ['safe', []],
    ['safe', [data]],
    ['opaque', [data, opaque]],
    ['dangerous', [data, opaque, shell]],
  ] as const)('%s', (verdict, globals) => expect(verdictOf(file('torch-zip', ...globals))).toBe(verdict));

  it('is dangerous where something nameless was refused', () => {
    const refusal = {
      level: 'error',
      rule: 'checkpoint/refused-global',
      message: 'an object of a registry',
    } as const;
    expect(verdictOf({ ...file('torch-zip', data), findings: [refusal] })).toBe('dangerous');
    expect(verdictOf({ ...file('torch-zip', opaque), findings: [refusal] })).toBe('opaque');
    const other = { ...refusal, rule: 'checkpoint/invalid' };
    expect(verdictOf({ ...file('torch-zip', data), findings: [other] })).toBe('safe');
  });

  it('comes with a warning where the reader has to decide', () => {
    expect(autopsyOf(file('torch-zip', data)).findings).toEqual([]);
    expect(autopsyOf(file('torch-zip', opaque, data)).findings).toMatchObject([
      { level: 'warning', rule: 'opaque-globals' },
    ]);
  });

  it('takes the classes of a TorchScript program as what they are', () => {
    const own = use('__torch__.nets.Net', 'opaque');
    expect(verdictOf(file('torchscript', data, own))).toBe('safe');
    expect(verdictOf(file('torchscript', own, opaque))).toBe('opaque');
    expect(verdictOf(file('torch-zip', own))).toBe('opaque');
    expect(autopsyOf(file('torchscript', own)).autopsy.effects[0]?.effect).toContain(
      'the program in the file',
    );
    expect(autopsyOf(file('torchscript', own, opaque)).findings[0]?.message).toMatch(/^1 globals/);
  });

  it('says what kind of file cannot hold any', () => {
    expect(autopsyOf(file('safetensors')).autopsy).toMatchObject({ hasPickles: false, effects: [] });
    expect(autopsyOf(file('safetensors')).autopsy.meaning).toContain('no pickles');
    expect(autopsyOf(file('torch-legacy')).autopsy).toMatchObject({ hasPickles: true });
    expect(autopsyOf(file('pt2')).autopsy.meaning).toContain('program');
    expect(autopsyOf(file('torchscript', data)).autopsy.meaning).toContain('program');
  });
});

describe('what a global does', () => {
  const effect = (one: GlobalUse): string => autopsyOf(file('torch-zip', one)).autopsy.effects[0]!.effect;

  it('lists the worst first', () => {
    const { effects } = autopsyOf(file('torch-zip', data, opaque, shell)).autopsy;
    expect(effects.map(({ kind }) => kind)).toEqual(['dangerous', 'opaque', 'data']);
  });

  it.each([
    ['posix.system', 'shell'],
    ['nt.system', 'shell'],
    ['os.execve', 'shell'],
    ['subprocess.Popen', 'shell'],
    ['builtins.eval', 'text as Python code'],
    ['__builtin__.execfile', 'Python code'],
    ['builtins.__import__', 'imports'],
    ['builtins.open', 'files'],
    ['shutil.rmtree', 'files'],
    ['os.remove', 'changes files'],
    ['builtins.setattr', 'other objects'],
    ['socket.create_connection', 'network'],
    ['urllib.request.urlopen', 'network'],
    ['pickle.loads', 'unpickles'],
    ['ctypes.CDLL', 'native'],
    ['threading.Thread', 'threads'],
    ['pip.main', 'installs'],
    ['torch.load', 'unpickles'],
    ['torch.hub.load', 'downloads'],
    ['torch.utils.cpp_extension.load', 'native'],
    ['numpy.load', 'reads or writes files'],
    ['my.module.f.__globals__', 'other objects'],
    ['o\u0455.system', 'hides its real name'],
    ['something.odd', 'imports something'],
  ])('%s', (name, text) => expect(effect(use(name, 'dangerous'))).toContain(text));

  it('tells a name from a call', () => {
    expect(effect(use('posix.system', 'dangerous', 0))).toMatch(/^nothing called it; .*shell/);
    expect(effect(use('my.models.Net', 'opaque', 0))).toBe('imports my.models');
    expect(effect(opaque)).toBe('imports my.models and calls Net');
    expect(effect(data)).toContain('plain data');
  });
});
