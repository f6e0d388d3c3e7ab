/**
 * The manifest of built models: which bytes a build gave, and on what.
 *
 * Float models are the same bytes everywhere. Int8 models hold ranges that the runtime measured, whose last bits depend
 * on the processor: their bytes are compared where processor and runtime are the recorded ones; elsewhere the proof of
 * quality that every build makes stands for them.
 */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { describeProcessor } from '../bench/fingerprint.ts';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { VERSION } from '../core/version.ts';
import { SessionHost } from '../runtime/isolated.ts';
import { writeAtomically } from './output.ts';
import { subjectOf } from './subject.ts';

export interface BuiltFile {
  /** As the job file names it. */
  readonly file: string;
  readonly path: string;
  readonly kind: 'float' | 'int8';
}

const manifestSchema = z.object({
  about: z.string(),
  built: z.object({ ortho: z.string(), runtime: z.string(), cpu: z.string() }),
  files: z.array(
    z.looseObject({
      file: z.string(),
      kind: z.enum(['float', 'int8']),
      bytes: z.int(),
      sha256: z.string(),
    }),
  ),
});
type Manifest = z.infer<typeof manifestSchema>;

const describeBuilder = async (): Promise<Manifest['built']> => {
  const host = new SessionHost();
  try {
    const runtime = `onnxruntime-node ${await host.version()}`;
    return { ortho: VERSION, runtime, cpu: describeProcessor() };
  } finally {
    await host.close();
  }
};

/** @throws OrthoError config/invalid when it is not a manifest */
const readManifest = (path: string): Manifest | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new OrthoError('config/invalid', `${path} is not a manifest of built models`, {
      at: { file: path },
      cause,
    });
  }
};

/** One finding for each file that differs from its record, and one for each that has none. */
export const compareWithManifest = async (path: string, files: readonly BuiltFile[]): Promise<Finding[]> => {
  const manifest = readManifest(path);
  if (manifest === undefined) {
    return [
      {
        level: 'note',
        rule: 'no-manifest',
        message: `${path} does not exist: nothing to compare the bytes with`,
        hint: '--update-manifest writes it',
      },
    ];
  }
  const here = await describeBuilder();
  const isSameKind = here.cpu === manifest.built.cpu && here.runtime === manifest.built.runtime;
  return files.flatMap(({ file, path: built, kind }): Finding[] => {
    const recorded = manifest.files.find((entry) => entry.file === file);
    if (recorded === undefined) {
      return [
        { level: 'note', rule: 'not-recorded', message: `${file} is not in the manifest`, at: { file } },
      ];
    }
    const { sha256 } = subjectOf(built, { hash: true });
    if (sha256 === recorded.sha256) return [];
    if (kind === 'int8' && !isSameKind) {
      return [
        {
          level: 'note',
          rule: 'other-processor',
          message: `${file} was recorded on ${manifest.built.cpu} with ${manifest.built.runtime}: judged by its parity, not by its bytes`,
          at: { file },
        },
      ];
    }
    return [
      {
        level: 'error',
        rule: 'not-reproduced',
        message: `${file} differs from the manifest: sha256 ${sha256}, recorded ${recorded.sha256}`,
        hint: 'after a wanted change, --update-manifest records the new bytes',
        at: { file },
      },
    ];
  });
};

/** Records what was built; what the old manifest says of a file beside its bytes (source, licence) stays. */
export const writeManifest = async (path: string, files: readonly BuiltFile[]): Promise<void> => {
  const old = readManifest(path);
  const manifest: Manifest = {
    about: old?.about ?? 'Models that a job file built; their bytes are what a rebuild must give.',
    built: await describeBuilder(),
    files: files.map(({ file, path: built, kind }) => {
      const { bytes, sha256 } = subjectOf(built, { hash: true });
      return {
        ...old?.files.find((entry) => entry.file === file),
        file,
        kind,
        bytes,
        sha256: sha256 as string,
      };
    }),
  };
  await writeAtomically(path, (sink) => sink.write(Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)), {
    force: true,
  });
};
