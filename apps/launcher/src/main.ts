import { join } from 'node:path';
import { loadConfig, requireClosedNetwork, runMain } from '@tiercel/runtime';
import { launch } from './launch.ts';
import { createTerminal } from './terminal.ts';

const terminal = createTerminal(process.stdout, process.stderr);
const APPS = join(import.meta.dirname, '../..');

await runMain(
  async () => {
    const config = loadConfig();
    await requireClosedNetwork(config);
    process.exitCode = await launch({
      config,
      terminal,
      apiFile: join(APPS, 'api/dist/main.js'),
      workerFile: join(APPS, 'worker/dist/main.js'),
    });
    process.exit();
  },
  (line) => {
    terminal.complain(line);
  },
);
