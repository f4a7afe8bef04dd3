import { afterEach } from '@jest/globals';
import { RedisNames, WEBHOOK_EVENTS, type WebhookEvent } from '@tiercel/contracts';
import {
  connectRedis,
  createLogger,
  loadConfig,
  sealSecrets,
  systemClock,
  type Redis,
  type WebhooksConfig,
} from '@tiercel/runtime';
import { startTestRedis, stopEverything, until, type TestRedis } from '@tiercel/testkit';
import type { Queue } from 'bullmq';
import { AddressGuard } from './address-guard.ts';
import { WebhookDeliverer } from './deliverer.ts';
import { DeliveryLog, type DeliveryView } from './delivery-log.ts';
import { WebhookDispatcher } from './dispatcher.ts';
import { createTurnQueue } from './turns.ts';
import { WebhookCounters } from './webhook-counters.ts';
import { WebhookStore } from './webhook-store.ts';

const SECRET_KEY = Buffer.alloc(32, 7);
const LOCK_MS = 1_500;

/** One process' share of the work. */
interface Share {
  readonly dispatcher: WebhookDispatcher;
  readonly deliverer: WebhookDeliverer;
  readonly counters: WebhookCounters;
  stop(): Promise<void>;
}

/** Webhooks on a Redis of their own, without the queue: what happens to jobs is noted by the test. */
export interface WebhookParts {
  readonly server: TestRedis;
  readonly redis: Redis;
  readonly names: RedisNames;
  readonly store: WebhookStore;
  readonly deliveries: DeliveryLog;
  readonly turns: Queue;
  readonly config: WebhooksConfig;
  /** As the scripts of the queue note it. */
  note(job: string, event: WebhookEvent, more?: { tenant?: string; url?: string }): Promise<void>;
  /** Starts what a worker process does. */
  work(): Share;
  deadLetters(tenant?: string): Promise<readonly DeliveryView[]>;
  log(tenant?: string): Promise<readonly DeliveryView[]>;
  /** Resolves when nothing waits. */
  settled(timeoutMs?: number): Promise<void>;
}

export async function openWebhooks(settings: Partial<WebhooksConfig> = {}): Promise<WebhookParts> {
  const log = createLogger({ level: 'silent', name: 'test' });
  const server = await startTestRedis();
  const names = new RedisNames('hooks');
  const connections: Redis[] = [];
  const connect = (): Redis => {
    const redis = connectRedis(server.url, 'blocking', log);
    connections.push(redis);
    return redis;
  };
  const redis = connect();
  const config: WebhooksConfig = {
    ...loadConfig({ TIERCEL_CONFIG: '/dev/null' }).webhooks,
    ...{ allow: ['127.0.0.1'], timeoutMs: 2_000, retryFirstMs: 100 },
    ...settings,
  };
  const clock = systemClock;
  const store = new WebhookStore({ redis, names, secretKey: SECRET_KEY, limits: config, clock });
  const deliveries = new DeliveryLog({ redis, names, store, secretKey: SECRET_KEY, config });
  const turns = createTurnQueue(redis, names);
  const shares: Share[] = [];
  const list = async (tenant: string, which: 'all' | 'dead') =>
    (await deliveries.list(tenant, which, { limit: 10_000, before: undefined })).deliveries;
  cleanUps.push(async () => {
    for (const share of shares) await share.stop();
    await turns.close();
    for (const connection of connections) connection.disconnect();
  });
  return {
    ...{ server, redis, names, store, deliveries, turns, config },
    note: async (job, event, { tenant = 'default', url } = {}) => {
      if (url !== undefined) await store.ensureDefaultSecret(tenant);
      const hook = url === undefined ? '' : JSON.stringify({ url, secretRef: 'default' });
      const frame = `{"type":"some_event","data":{"prompt_id":${JSON.stringify(job)},"timestamp":1}}`;
      await redis.xadd(
        ...([names.webhookOutbox, '*', 'tenant', tenant, 'job', job, 'event', event] as const),
        ...(['frame', frame, 'hook', hook === '' ? '' : sealSecrets(SECRET_KEY, hook)] as const),
        ...(['own', hook === '' ? 0 : 1] as const),
      );
    },
    work: () => {
      const bullRedis = connect();
      const counters = new WebhookCounters();
      const shared = { redis, names, store, secretKey: SECRET_KEY, config, lockMs: LOCK_MS };
      const deliverer = new WebhookDeliverer({
        ...{ ...shared, bullRedis, clock, counters, log },
        guard: new AddressGuard(config.allow),
        random: () => 0.5,
      });
      const dispatcher = new WebhookDispatcher({
        ...{ ...shared, turns, counters, log },
        blocking: connect(),
      });
      deliverer.start();
      dispatcher.start();
      let stopping: Promise<void> | undefined;
      const share = {
        ...{ dispatcher, deliverer, counters },
        stop: () =>
          (stopping ??= Promise.all([dispatcher.stop(), deliverer.stop()]).then(() => undefined)),
      };
      shares.push(share);
      return share;
    },
    deadLetters: (tenant = 'default') => list(tenant, 'dead'),
    log: (tenant = 'default') => list(tenant, 'all'),
    settled: async (timeoutMs = 15_000) => {
      await until(async () => {
        const noted = await redis.xlen(names.webhookOutbox);
        return noted === 0 && (await deliveries.readBacklog()).waiting === 0;
      }, timeoutMs);
    },
  };
}

const cleanUps: (() => Promise<void>)[] = [];

/** For a test file: everything is stopped after each test. */
export function stopAfterEach(): void {
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0)) await cleanUp();
    await stopEverything();
  });
}

export const ALL = [...WEBHOOK_EVENTS];
