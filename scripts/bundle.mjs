/**
 * Bundles the command line into a few files: Node loads a module in about a millisecond, and a command has a hundred.
 * The library stays as the compiler wrote it. Of the dependencies those that every command needs are bundled too.
 */
import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import { rolldown } from 'rolldown';

rmSync('dist/cli', { recursive: true, force: true });
const bundle = await rolldown({
  input: { main: 'dist/tools/main.js', child: 'dist/src/runtime/child.js' },
  platform: 'node',
  external: /^(?:node:|onnxruntime-node|zod|pngjs|jpeg-js)/,
});
await bundle.write({
  dir: 'dist/cli',
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  minify: false,
});
await bundle.close();
// Data that the code reads from its own folder.
copyFileSync('dist/src/ops/schemas.generated.json', 'dist/cli/schemas.generated.json');
// npm sets the bit only when it links the command; a later build must not take it away.
chmodSync('dist/cli/main.js', 0o755);
