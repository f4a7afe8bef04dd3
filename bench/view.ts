import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { alternate, type Benchmark } from './benchmark.ts';
import { formatNumber } from './figures.ts';
import { startRole } from './role-process.ts';
import { startBenchSystem } from './system.ts';

const CONNECTIONS = 8;
const SECONDS = 2;
const WARM_UP_SECONDS = 1;
const BYTES = 1_000_000;
const PNG_SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

/** A stored picture as it is (neither server decodes it), beside express.static. */
export const benchView: Benchmark = async (context) => {
  const system = await startBenchSystem(context, { workers: 0 });
  const folder = join(system.dataDir, 'output');
  await mkdir(folder, { recursive: true });
  const noise = randomBytes(BYTES - PNG_SIGNATURE.length);
  await writeFile(join(folder, 'bench.png'), Buffer.concat([PNG_SIGNATURE, noise]));
  const staticUrl = await startRole('serveReference')({ kind: 'files', folder });
  const drive = startRole('driveLoad');
  const measure = async (url: string, path: string, seconds: number): Promise<number> =>
    (await drive({ url, path, connections: CONNECTIONS, stopAfter: { seconds } })).perSecond;
  const viewPath = '/view?filename=bench.png&subfolder=&type=output';
  const staticPath = '/bench.png';
  await measure(system.url, viewPath, WARM_UP_SECONDS);
  await measure(staticUrl, staticPath, WARM_UP_SECONDS);
  const figures = await alternate(
    {
      tiercel: () => measure(system.url, viewPath, SECONDS),
      reference: () => measure(staticUrl, staticPath, SECONDS),
    },
    {
      onFigure: (name, value) => {
        context.say(`view: ${name} ${formatNumber(value)} requests/s`);
      },
    },
  );
  await system.stop();
  return [
    {
      name: 'view: GET /view, 1 MB',
      unit: 'requests/s',
      tiercel: Math.max(...figures.tiercel),
      reference: { name: 'express.static', value: Math.max(...figures.reference) },
      aim: { ratio: { atLeast: 0.8 } },
    },
  ];
};
