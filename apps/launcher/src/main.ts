import { join } from 'node:path';
import { loadConfig, runMain } from '@tiercel/runtime';
import { launch } from './launch.ts';
import { createTerminal } from './terminal.ts';

const terminal = createTerminal(process.stdout, process.stderr);
const APPS = join(import.meta.dirname, '../..');

await runMain(
  async () => {
    process.exitCode = await launch({
      config: loadConfig(),
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
