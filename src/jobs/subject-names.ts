/** What reports call the files that a command was given: their own names, or what tells equal names apart. */
import { basename, resolve } from 'node:path';

/** The part of each path that differs: without the folders and the ending that all of them share. */
const differingParts = (files: readonly string[]): string[] => {
  const paths = files.map((file) => resolve(file).split(/[\\/]/));
  const first = paths[0]!;
  const least = Math.min(...paths.map(({ length }) => length));
  let lead = 0;
  while (lead < least && paths.every((parts) => parts[lead] === first[lead])) lead++;
  let tail = 0;
  while (tail < least - lead && paths.every((parts) => parts.at(-1 - tail) === first.at(-1 - tail))) tail++;
  return paths.map((parts) => parts.slice(lead, parts.length - tail).join('/'));
};

/**
 * `net.onnx`; for `a/model.onnx` and `b/model.onnx` `a` and `b`; for one file twice `net.onnx` and `net.onnx#2`.
 * @param subjects files, with a name where the user gave one.
 */
export const subjectNames = (
  subjects: readonly { readonly file: string; readonly name?: string }[],
): string[] => {
  const given = subjects.map(({ file, name }) => name ?? basename(file));
  const names = [...given];
  for (const base of new Set(given)) {
    const equal = [...subjects.keys()].filter((i) => given[i] === base && subjects[i]!.name === undefined);
    const files = equal.map((i) => subjects[i]!.file);
    if (new Set(files.map((file) => resolve(file))).size < 2) continue;
    const parts = differingParts(files);
    for (const [k, i] of equal.entries()) names[i] = parts[k] || base;
  }
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
};
