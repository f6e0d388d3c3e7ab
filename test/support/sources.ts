/** The project's own source files and what each imports, read with a regular expression: imports are plain here. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { repository } from './golden.ts';

export interface Import {
  /** As written: `../core/errors.ts`, `node:fs`, `zod`. */
  readonly from: string;
  /** The imported file from the root of the repository; undefined for packages. */
  readonly file: string | undefined;
  readonly isType: boolean;
  readonly isDynamic: boolean;
  /** `export … from`. */
  readonly isExport: boolean;
}

/** All TypeScript files below these folders, from the root of the repository. */
export const sourceFiles = (...folders: readonly string[]): string[] =>
  folders
    .flatMap((folder) =>
      readdirSync(`${repository}${folder}`, { recursive: true, encoding: 'utf8' }).map(
        (name) => `${folder}/${name.replaceAll('\\', '/')}`,
      ),
    )
    .filter((name) => name.endsWith('.ts'))
    .sort();

export const readSource = (file: string): string => readFileSync(`${repository}${file}`, 'utf8');

/** Comments and template literals go: neither can import, and both may speak of imports. */
const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');

const STATIC = /^(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'\s*\)/g;

export const importsOf = (file: string): Import[] => {
  const source = withoutComments(readSource(file));
  const resolve = (from: string): string | undefined =>
    from.startsWith('.') ? posix.normalize(posix.join(posix.dirname(file), from)) : undefined;
  const found: Import[] = [];
  for (const [, keyword, type, from] of source.matchAll(STATIC)) {
    const isType = type !== undefined;
    found.push({
      from: from!,
      file: resolve(from!),
      isType,
      isDynamic: false,
      isExport: keyword === 'export',
    });
  }
  for (const [, from] of source.matchAll(DYNAMIC)) {
    found.push({ from: from!, file: resolve(from!), isType: false, isDynamic: true, isExport: false });
  }
  return found;
};

/** The package of an import: `zod`, `@scope/name`. */
export const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
