#!/usr/bin/env node
/** The `ortho` command. Help and version load next to nothing: they must feel instant. */
import { runCommandLine } from '../src/cli/commands.ts';
import { tools } from './index.ts';

// A plain exit: a child that hangs or a timer that a library left must not keep the command alive.
process.exit(await runCommandLine(tools, process.argv.slice(2)));
