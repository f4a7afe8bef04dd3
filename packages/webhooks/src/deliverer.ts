import { randomUUID } from 'node:crypto';
import type { RedisNames } from '@tiercel/contracts';
import type { Clock, Logger, Redis, WebhooksConfig } from '@tiercel/runtime';
import { Worker } from 'bullmq';
import type { AddressGuard } from './address-guard.ts';
import { appendAttempt } from './attempts.ts';
import { openJobHook } from './job-webhook.ts';
import { toLimitsText } from './limits.ts';
import { settleDeliveryScript } from './lua/settle-delivery.ts';
import { takeDeliveryScript, type ReceiverClass, type TakenDelivery } from './lua/take-delivery.ts';
import { judgeTry, type Judgement } from './retry-policy.ts';
import { sendWebhook, type SendResult } from './send-webhook.ts';
import { signWebhook } from './sign-webhook.ts';
import type { WebhookCounters } from './webhook-counters.ts';
import type { WebhookStore } from './webhook-store.ts';

/** Progress is worth little, and an end may wait behind it. */
const PROGRESS_TIMEOUT_MS = 2_000;
/** Of the deliveries of a process, so much may be to receivers of a class; the rest is kept for the better ones. */
const SHARES: Readonly<Record<ReceiverClass, number>> = { good: 1, new: 1 / 2, bad: 1 / 4 };
const CLASSES = ['good', 'new', 'bad'] as const;

export interface DelivererParts {
  readonly redis: Redis;
  /** For BullMQ. */
  readonly bullRedis: Redis;
  readonly names: RedisNames;
  readonly store: WebhookStore;
  readonly guard: AddressGuard;
  readonly secretKey: Uint8Array;
  readonly config: WebhooksConfig;
  readonly lockMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: WebhookCounters;
  readonly log: Logger;
}

interface Receiver {
  readonly url: string;
  readonly secrets: readonly string[];
}

/**
 * Takes turns and makes deliveries, one after the other under one turn for as long as there is one to take. A
 * process that dies in between leaves its turn to another, which makes the same delivery again: each is made at
 * least once, and its `webhook-id` is always the same.
 */
export class WebhookDeliverer {
  readonly #parts: DelivererParts;
  readonly #worker: Worker;
  readonly #limitsText: string;
  readonly #stopping = new AbortController();
  readonly #inFlight: Record<ReceiverClass, number> = { good: 0, new: 0, bad: 0 };

  constructor(parts: DelivererParts) {
    this.#parts = parts;
    this.#limitsText = toLimitsText(parts.config);
    const { names, bullRedis, config, lockMs, log } = parts;
    this.#worker = new Worker(
      names.webhookQueue,
      async (turn) => {
        if (turn.id !== undefined) await this.#deliverUnder(turn.id);
      },
      {
        connection: bullRedis,
        prefix: names.bullPrefix,
        concurrency: config.concurrency,
        lockDuration: lockMs,
        stalledInterval: Math.ceil(lockMs / 3),
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        autorun: false,
      },
    );
    this.#worker.on('error', (error) => {
      log.debug({ err: error }, 'bullmq');
    });
    this.#worker.on('failed', (_turn, error) => {
      log.warn({ err: error }, 'a turn of webhooks failed');
    });
  }

  start(): void {
    void this.#worker.run();
  }

  /** Cuts what is under way: it waits again, and is delivered once more by another process. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#worker.close();
  }

  async #deliverUnder(turn: string): Promise<void> {
    const { redis, names, config } = this.#parts;
    while (!this.#stopping.signal.aborted) {
      const claim = randomUUID();
      const classes = CLASSES.filter(
        (each) => this.#inFlight[each] < Math.max(1, config.concurrency * SHARES[each]),
      );
      const taken = await takeDeliveryScript.run(redis, {
        prefix: names.prefix,
        ...{ turn, claim, limits_json: this.#limitsText, classes },
      });
      if (taken === undefined) return;
      this.#inFlight[taken.receiverClass] += 1;
      try {
        await this.#deliver({ turn, claim }, taken.delivery);
      } finally {
        this.#inFlight[taken.receiverClass] -= 1;
      }
    }
  }

  async #deliver(
    lease: { readonly turn: string; readonly claim: string },
    delivery: TakenDelivery,
  ): Promise<void> {
    const receiver = await this.#findReceiver(delivery);
    if (typeof receiver === 'string') {
      await this.#settle(lease, { outcome: 'dead', reason: receiver });
      return;
    }
    const { clock, random, config, store, log } = this.#parts;
    const startedAtMs = clock.now();
    const result = await this.#send(delivery, receiver, startedAtMs);
    if ('code' in result && result.code === 'stopped') {
      await this.#settle(lease, { outcome: 'retry', reason: '' });
      return;
    }
    const tookMs = clock.now() - startedAtMs;
    const isProgress = delivery.event === 'progress';
    // From Redis' clock, as all machines have it, to the end of this try.
    const ageMs = delivery.takenAtMs - delivery.sinceMs + tookMs;
    const { tries, tenant, webhookId } = delivery;
    const judged = judgeTry({ tries, ageMs, isProgress, result }, config, random());
    await this.#settle(lease, judged, {
      health: judged.outcome === 'delivered' ? 'good' : 'bad',
      attempts: appendAttempt(delivery.attemptsText, { startedAtMs, tookMs, result }),
    });
    if (judged.isGone && webhookId !== '') {
      log.info({ webhookId }, 'a webhook answered 410: it is told nothing any more');
      await store.setDisabled(tenant, webhookId, 'gone');
    }
  }

  async #settle(
    { turn, claim }: { readonly turn: string; readonly claim: string },
    { outcome, reason, pauseMs = 0 }: Pick<Judgement, 'outcome' | 'reason'> & { pauseMs?: number },
    { health = '', attempts = '' }: { health?: 'good' | 'bad' | ''; attempts?: string } = {},
  ): Promise<void> {
    const { redis, names, counters } = this.#parts;
    counters.add(outcome);
    await settleDeliveryScript.run(redis, {
      prefix: names.prefix,
      ...{ turn, claim, outcome, health, pause_ms: pauseMs, reason, attempts },
      limits_json: this.#limitsText,
    });
  }

  /** @returns a word for the log when it cannot be delivered at all */
  async #findReceiver({ tenant, webhookId, hook }: TakenDelivery): Promise<Receiver | string> {
    const { store, secretKey } = this.#parts;
    let target: { url: string; secretRef: string };
    if (webhookId === '') {
      const own = openJobHook(secretKey, hook);
      if (own === undefined) return 'unreadable';
      target = own;
    } else {
      const endpoint = await store.findEndpoint(tenant, webhookId);
      if (endpoint === undefined) return 'webhook_deleted';
      if (endpoint.disabled !== undefined) return 'webhook_disabled';
      target = endpoint;
    }
    const secrets = await store.signingSecrets(tenant, target.secretRef);
    return secrets.length === 0 ? 'secret_deleted' : { url: target.url, secrets };
  }

  async #send(
    { id, body, event }: TakenDelivery,
    { url, secrets }: Receiver,
    nowMs: number,
  ): Promise<SendResult> {
    const { guard, config } = this.#parts;
    const isProgress = event === 'progress';
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Tiercel-Webhooks',
      ...signWebhook({ id, body, at: new Date(nowMs) }, secrets),
    };
    return await sendWebhook(
      new URL(url),
      { headers, body },
      {
        guard,
        connectTimeoutMs: config.connectTimeoutMs,
        timeoutMs: isProgress ? Math.min(config.timeoutMs, PROGRESS_TIMEOUT_MS) : config.timeoutMs,
        signal: this.#stopping.signal,
      },
    );
  }
}
