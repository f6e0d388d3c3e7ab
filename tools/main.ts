#!/usr/bin/env node
/** The `ortho` command. `--version` and `--help` load next to nothing: they must feel instant. */
import { VERSION } from '../src/core/version.ts';

const words = process.argv.slice(2);
if (words.length === 1 && (words[0] === '--version' || words[0] === '-V')) {
  process.stdout.write(`${VERSION}\n`);
} else {
  const { runCommandLine } = await import('../src/cli/commands.ts');
  const { tools } = await import('./index.ts');
  // A plain exit: a child that hangs or a timer that a library left must not keep the command alive.
  process.exit(await runCommandLine(tools, words));
}
