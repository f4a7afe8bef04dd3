import type { Config, ReadyMessage } from '@tiercel/runtime';
import type { RedisSource } from './redis-source.ts';

/** What `npm start` tells when everything is up: where it is, and what it is made of. */
export function describeStart(
  config: Pick<Config, 'dataDir' | 'workerProcesses' | 'workerConcurrency'>,
  redis: Pick<RedisSource, 'description' | 'warnings'>,
  ready: readonly ReadyMessage[],
): string {
  const url = findUrl(ready);
  const tiers = new Set(ready.flatMap((message) => message.tiers ?? []));
  const { workerProcesses, workerConcurrency } = config;
  const processes = workerProcesses === 1 ? '1 process' : `${workerProcesses} processes`;
  const workers =
    workerProcesses === 0
      ? 'none here (WORKER_PROCESSES=0)'
      : `${processes}, up to ${workerConcurrency} jobs at once in each`;
  return [
    '',
    `Tiercel is ready: ${url}`,
    `  tiers    ${tiers.size === 0 ? 'none here' : [...tiers].join(', then ')}`,
    `  workers  ${workers}`,
    `  redis    ${redis.description}`,
    ...redis.warnings.map((warning) => `           warning: ${warning}`),
    `  data     ${config.dataDir}`,
    '  Ctrl-C stops it.',
    '',
  ].join('\n');
}

/** When everything runs, and nothing says yet what prompts may hold. */
export function describeWaiting(ready: readonly ReadyMessage[]): string {
  return (
    `Tiercel listens at ${findUrl(ready)}, but takes no prompts yet: no worker has told what it can run. ` +
    'Is a worker up, and does its backend answer?'
  );
}

function findUrl(ready: readonly ReadyMessage[]): string {
  return ready.find((message) => message.url !== undefined)?.url ?? 'unknown';
}
