/** A command line over the toy tools. */
import { runCommandLine } from '../../dist/src/cli/commands.js';
import { act, write } from './toy-tools.mjs';

const commands = {
  act: { summary: act.summary, load: async () => ({ tool: act }) },
  write: { summary: write.summary, load: async () => ({ tool: write }) },
  broken: { summary: 'does not load', load: async () => import('./no-such-file.mjs') },
};
process.exit(await runCommandLine(commands, process.argv.slice(2)));
