import { resolve } from 'node:path';
import { AppError } from '@tiercel/contracts';
import { sleep } from '@tiercel/runtime';
import { isRedisFolderTaken } from './folder-lock.ts';
import { askOnce, readEarlierUrl } from './start-redis-server.ts';

const ASK_EVERY_MS = 100;

/**
 * The Redis that a Tiercel runs now on this data folder; one that is just starting, or loads its data, is waited for.
 * @returns its URL; undefined when nobody runs one there
 * @throws AppError redis_unreachable when it does not answer in time
 */
export async function findRunningRedis(
  dataDir: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const folder = resolve(dataDir, 'redis');
  for (const startedAtMs = Date.now(); await isRedisFolderTaken(folder);) {
    const url = readEarlierUrl(folder);
    const answer = url === undefined ? undefined : await askOnce(url, (redis) => redis.ping());
    if (typeof answer === 'object') return url;
    if (Date.now() - startedAtMs > timeoutMs) {
      throw new AppError('redis_unreachable', `The Redis that runs in ${folder} does not answer.`);
    }
    await sleep(ASK_EVERY_MS);
  }
  return undefined;
}
