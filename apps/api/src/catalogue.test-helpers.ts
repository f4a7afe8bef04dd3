import { RedisNames, type WorkerCapabilities } from '@tiercel/contracts';
import { WorkerRegistry, EventSubscriber } from '@tiercel/events';
import { connectRedis, createLogger, type Redis } from '@tiercel/runtime';
import { Catalogue } from './catalogue.ts';

/** For tests only: workers that announce classes, without any process of theirs, and who reads it. */

export const log = createLogger({ level: 'silent', name: 'test' });

export interface RegistryParts {
  readonly redis: Redis;
  readonly names: RedisNames;
  /** The connection of the subscriber. */
  readonly subscriberConnection: Redis;
  readonly registry: WorkerRegistry;
  readonly subscriber: EventSubscriber;
  /** A catalogue that has looked once, and hears of news. */
  startCatalogue(): Promise<Catalogue>;
  close(): void;
}

/** A registry on a real Redis. */
export function openRegistry(redisUrl: string): RegistryParts {
  const names = new RedisNames('registry-test');
  const redis = connectRedis(redisUrl, 'patient', log);
  const subscriberConnection = connectRedis(redisUrl, 'subscriber', log);
  const registry = new WorkerRegistry(redis, names);
  const subscriber = new EventSubscriber({
    ...{ subscriberConnection, redis, names, log },
    processId: 'test',
  });
  return {
    ...{ redis, names, subscriberConnection, registry, subscriber },
    startCatalogue: async () => {
      const catalogue = new Catalogue({ registry, listInputFiles: () => Promise.resolve([]), log });
      await catalogue.start(subscriber);
      return catalogue;
    },
    close: () => {
      redis.disconnect();
      subscriberConnection.disconnect();
    },
  };
}

/** One class of a worker's catalogue, as JSON text, so that numbers keep their digits. */
export function nodeClass(name: string, required: string, optional = '{}'): string {
  return `"${name}":{"name":"${name}","input":{"required":${required},"optional":${optional}},"output":[],"output_node":false}`;
}

/** The catalogue's hash is the worker's name: tests say with it which one comes first in order. */
export async function registerWorker(
  registry: WorkerRegistry,
  workerId: string,
  classes: readonly string[],
  change: Partial<WorkerCapabilities> = {},
): Promise<void> {
  const hash = `hash-of-${workerId}`;
  await registry.putCatalogue(hash, `{${classes.join(',')}}`);
  const capabilities: WorkerCapabilities = {
    ...{ workerId, host: 'h', pid: 1, startedAt: 1, concurrency: 1, running: 0 },
    ...{ catalogueHash: hash, models: {}, embeddings: [], devices: [], tiers: [] },
    ...change,
  };
  const profile = {
    pool: { name: 'default' },
    tiers: [],
    classes: classes.map((text) => text.slice(1, text.indexOf('"', 1))),
  };
  await registry.heartbeat(capabilities, { id: `${hash}-profile`, profile }, true);
}
