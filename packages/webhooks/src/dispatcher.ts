import { createHash, randomUUID } from 'node:crypto';
import { parseOutboxEntry, type OutboxEntry, type RedisNames, unscoped } from '@tiercel/contracts';
import { sleep, type Logger, type Redis, type WebhooksConfig } from '@tiercel/runtime';
import { Job, type Queue } from 'bullmq';
import { openJobHook } from './job-webhook.ts';
import { toLimitsText } from './limits.ts';
import { countTurnsScript } from './lua/count-turns.ts';
import { dispatchScript } from './lua/dispatch.ts';
import { settleDeliveryScript } from './lua/settle-delivery.ts';
import { makeBody } from './webhook-body.ts';
import type { WebhookCounters } from './webhook-counters.ts';
import type { Endpoint, WebhookStore } from './webhook-store.ts';

/** Another process takes over so long after the holder has died. */
const LEASE_MS = 3_000;
/** The longest that the holder waits for an entry: what has become due by time is noticed then. */
const WAIT_MS = 250;
/** Between looks of those that do not hold the lease. */
const LOOK_MS = 1_000;
/** After an error. */
const PAUSE_MS = 500;
/** Turns that may wait at once: who has one keeps it as long as there is something to deliver. */
const MAX_WAITING_TURNS = 16;
const BATCH = 50;
const SWEEP_EVERY_MS = 10_000;

export interface DispatcherParts {
  readonly redis: Redis;
  /** A connection that nothing else uses: it waits for entries. */
  readonly blocking: Redis;
  readonly names: RedisNames;
  readonly turns: Queue;
  readonly store: WebhookStore;
  readonly secretKey: Uint8Array;
  readonly config: WebhooksConfig;
  /** Of BullMQ's locks on turns. */
  readonly lockMs: number;
  readonly counters: WebhookCounters;
  readonly log: Logger;
}

/**
 * Makes deliveries of the outbox, and sees to it that enough turns wait in BullMQ. Every worker has one; a lease in
 * Redis lets one of them work at a time, so that the events of a job stay in their order. Each step is one script
 * that only the holder of the lease can do, and none needs what the process remembers: whoever has the lease next
 * goes on.
 */
export class WebhookDispatcher {
  readonly #parts: DispatcherParts;
  readonly #lease = randomUUID();
  readonly #limitsText: string;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #sweptAtMs = 0;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#limitsText = toLimitsText(parts.config);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const isStopping = (): boolean => signal.aborted; // asked again after each await
    while (!isStopping()) {
      let pauseMs = 0;
      try {
        if (!(await this.#work(isStopping))) pauseMs = LOOK_MS;
      } catch (error) {
        pauseMs = PAUSE_MS;
        if (!isStopping()) {
          this.#parts.log.warn({ err: error }, 'webhooks were not dispatched; trying again');
        }
      }
      if (pauseMs > 0) await sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  /** @returns false when another process has the lease */
  async #work(isStopping: () => boolean): Promise<boolean> {
    const takeable = await this.#holdLease();
    if (takeable < 0) return false;
    await this.#addTurns(takeable);
    await this.#sweep();
    if (!isStopping()) await this.#dispatch(await this.#readOutbox());
    return true;
  }

  /** @returns how many deliveries could be taken now; -1 when another process has the lease */
  #holdLease(): Promise<number> {
    const { redis, names } = this.#parts;
    return countTurnsScript.run(redis, {
      prefix: names.prefix,
      ...{ lease: this.#lease, lease_ms: LEASE_MS, limits_json: this.#limitsText },
      most: MAX_WAITING_TURNS,
    });
  }

  async #addTurns(takeable: number): Promise<void> {
    if (takeable === 0) return;
    const { turns } = this.#parts;
    const waiting = await turns.getWaitingCount();
    const missing = takeable - waiting;
    if (missing <= 0) return;
    await turns.addBulk(Array.from({ length: missing }, () => ({ name: 'turn', data: null })));
  }

  async #readOutbox(): Promise<OutboxEntry[]> {
    const { blocking, names } = this.#parts;
    const read = await blocking.xread(
      ...(['COUNT', BATCH, 'BLOCK', WAIT_MS, 'STREAMS', names.webhookOutbox, '0'] as const),
    );
    return (read ?? []).flatMap(([, entries]) => entries.map(parseOutboxEntry));
  }

  async #dispatch(entries: readonly OutboxEntry[]): Promise<void> {
    const { store, counters } = this.#parts;
    // Read once a batch: a webhook that is added meanwhile is told of what happens from then on.
    const endpoints = new Map<string, readonly Endpoint[]>();
    for (const entry of entries) {
      const known = endpoints.get(entry.tenant) ?? (await store.listEndpoints(entry.tenant));
      endpoints.set(entry.tenant, known);
      const body = this.#makeBody(entry);
      // An entry that nothing can be made of is taken away: what comes behind it is not to wait for ever.
      const done = await this.#dispatchOne(entry, body === undefined ? [] : known, body ?? '');
      if (done === undefined) return; // the lease is another's
      const [, dead, dropped] = done;
      counters.add('dead', dead);
      counters.add('dropped', dropped);
    }
  }

  #makeBody(entry: OutboxEntry): string | undefined {
    try {
      return makeBody(entry, this.#parts.config.maxBodyBytes);
    } catch (error) {
      this.#parts.log.error(
        { err: error, promptId: unscoped(entry.jobId).text },
        'a webhook event was not read',
      );
      return undefined;
    }
  }

  #dispatchOne(
    entry: OutboxEntry,
    endpoints: readonly Endpoint[],
    body: string,
  ): ReturnType<typeof dispatchScript.run> {
    const { redis, names } = this.#parts;
    const wanting = endpoints.filter(
      ({ disabled, events }) => disabled === undefined && events.includes(entry.event),
    );
    const receivers = wanting.map(({ id }) => ({ receiver: `e:${id}`, webhook: id, hook: '' }));
    const own = body === '' ? undefined : this.#ownReceiver(entry);
    if (own !== undefined) receivers.push({ receiver: own, webhook: '', hook: entry.hook });
    const id = `msg_${entry.entryId.replace('-', '_')}`;
    return dispatchScript.run(redis, {
      prefix: names.prefix,
      ...{ lease: this.#lease, lease_ms: LEASE_MS, limits_json: this.#limitsText },
      ...{ entry: entry.entryId, tenant: entry.tenant, job: entry.jobId, event: entry.event, body },
      receivers: receivers.flatMap(({ receiver, webhook, hook }, place) => [
        ...[`${id}_${place}`, receiver, webhook, hook],
      ]),
    });
  }

  /** Jobs that name one host share its turns: a host that hangs is one receiver, not thousands. */
  #ownReceiver({ hook, isOwn, jobId }: OutboxEntry): string | undefined {
    if (!isOwn || hook === '') return undefined;
    const own = openJobHook(this.#parts.secretKey, hook);
    if (own === undefined) {
      this.#parts.log.error(
        { promptId: unscoped(jobId).text },
        'the webhook of a job cannot be opened',
      );
      return undefined;
    }
    const { host } = new URL(own.url);
    return `u:${createHash('sha256').update(host).digest('base64url').slice(0, 22)}`;
  }

  /** Deliveries whose turn BullMQ does not know any more (somebody emptied its queue by hand) wait again. */
  async #sweep(): Promise<void> {
    const { redis, names, turns, lockMs, log } = this.#parts;
    const now = Date.now();
    if (now - this.#sweptAtMs < SWEEP_EVERY_MS) return;
    this.#sweptAtMs = now;
    const held = await redis.hgetall(names.webhookTurns);
    if (Object.keys(held).length === 0) return;
    const [seconds] = await redis.time();
    for (const [turn, text] of Object.entries(held)) {
      const [claim, , , takenAtMs] = JSON.parse(text) as [string, string, string, number];
      const isOld = Number(seconds) * 1_000 - takenAtMs > 2 * lockMs + this.#parts.config.timeoutMs;
      if (!isOld || (await Job.fromId(turns, turn)) !== undefined) continue;
      log.warn({ turn }, 'a webhook delivery lost its turn: it waits again');
      await settleDeliveryScript.run(redis, {
        prefix: names.prefix,
        ...{ turn, claim, outcome: 'retry', health: '', pause_ms: 0, reason: 'lost', attempts: '' },
        limits_json: this.#limitsText,
      });
    }
  }
}
