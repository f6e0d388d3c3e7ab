/**
 * Which attributes of a TorchScript class are parameters and buffers, from the class's head in the archive's code:
 *
 *   class Conv2d(Module):
 *     __parameters__ = ["weight", "bias", ]
 *     __buffers__ = []
 *
 * The code is looked at as text, never run. Classes whose source is missing or too long stay unknown.
 */
import type { PickleGlobal } from './pickle-values.ts';
import { endOfString } from './strict-json.ts';
import type { ZipArchive } from './zip.ts';

/** Bytes of one source file, and of all that are read. */
const MAX_SOURCE = 1024 * 1024;
const MAX_SOURCES = 16 * 1024 * 1024;
/** Classes and names of attributes that are taken from all of it. */
const MAX_DECLARED = 100_000;

export interface ScriptClass {
  /** A torch.nn.Module, as opposed to a plain TorchScript class. */
  readonly isModule: boolean;
  readonly parameters: ReadonlySet<string>;
  readonly buffers: ReadonlySet<string>;
}

/** The heads of classes, and in them the lines that list parameters and buffers. */
const HEADS = /^(?:class ([^\s(:]+)(?:\(([^\s)]*)\))?:| {2}__(parameters|buffers)__ = \[(.*)\]$)/gm;

/** The string literals of a list; one that is not closed ends it. Linear, as a pattern with alternatives is not. */
function* literalsOf(list: string): Generator<string> {
  for (let start = list.indexOf('"'); start >= 0; ) {
    const end = endOfString(list, start);
    if (end === list.length) return;
    yield list.slice(start + 1, end).replace(/\\(.)/g, '$1');
    start = list.indexOf('"', end + 1);
  }
}

/** The classes of one source file; no more than `limit` classes and names. */
const classesOf = (source: string, limit: number): Map<string, ScriptClass> => {
  const classes = new Map<string, ScriptClass>();
  let left = limit;
  let current: { parameters: Set<string>; buffers: Set<string> } | undefined;
  for (const [, name, base, kind, list = ''] of source.matchAll(HEADS)) {
    if (left-- <= 0) break;
    if (name !== undefined) {
      current = { parameters: new Set(), buffers: new Set() };
      classes.set(name, { isModule: base === 'Module', ...current });
    } else if (kind === 'parameters' || kind === 'buffers') {
      for (const literal of literalsOf(list)) {
        if (left-- <= 0) break;
        current?.[kind].add(literal);
      }
    }
  }
  return classes;
};

/** Answers from the source files of one archive, each read when the first of its classes is asked for. */
export class ScriptClasses {
  readonly #archive: ZipArchive;
  readonly #root: string;
  readonly #files = new Map<string, ReadonlyMap<string, ScriptClass>>();
  #read = 0;
  #declared = 0;

  constructor(archive: ZipArchive, root: string) {
    this.#archive = archive;
    this.#root = root;
  }

  /** The class, or undefined where the archive's code does not tell. */
  find({ module, name }: PickleGlobal): ScriptClass | undefined {
    let classes = this.#files.get(module);
    if (classes === undefined) {
      classes = classesOf(this.#source(module), MAX_DECLARED - this.#declared);
      for (const { parameters, buffers } of classes.values()) {
        this.#declared += 1 + parameters.size + buffers.size;
      }
      this.#files.set(module, classes);
    }
    return classes.get(name);
  }

  #source(module: string): string {
    const entry = this.#archive.entries.get(`${this.#root}code/${module.replaceAll('.', '/')}.py`);
    if (entry === undefined || entry.size > MAX_SOURCE || this.#read + entry.size > MAX_SOURCES) return '';
    this.#read += entry.size;
    return Buffer.from(entry.data.read(0, entry.size)).toString('utf8');
  }
}
