import {
  AppError,
  promptIdOf,
  webhookType,
  type JobId,
  type RedisNames,
  type WebhookEvent,
} from '@tiercel/contracts';
import type { Redis, WebhooksConfig } from '@tiercel/runtime';
import { readAttempts, type Attempt } from './attempts.ts';
import { openJobHook } from './job-webhook.ts';
import { toLimitsText } from './limits.ts';
import { redeliverScript } from './lua/redeliver.ts';
import type { Endpoint, WebhookStore } from './webhook-store.ts';

/** What may be shown of a delivery: of its address the origin alone. */
export interface DeliveryView {
  readonly id: string;
  readonly type: string;
  readonly promptId: string;
  /** The tenant's webhook; undefined for the job's own. */
  readonly webhookId: string | undefined;
  /** Undefined when the webhook was deleted. */
  readonly receiver: string | undefined;
  readonly state: 'waiting' | 'sending' | 'delivered' | 'dead';
  /** Why it is not delivered; a word of docs/webhooks.md. */
  readonly reason: string | undefined;
  readonly createdAtMs: number;
  readonly settledAtMs: number | undefined;
  /** Of one that waits. */
  readonly nextTryAtMs: number | undefined;
  /** The last ones. */
  readonly attempts: readonly Attempt[];
}

export interface DeliveryPage {
  readonly deliveries: readonly DeliveryView[];
  /** For the next page; undefined on the last one. */
  readonly cursor: string | undefined;
}

/** All that a view shows; the body, which may be large, is read for one delivery alone. */
const FIELDS = [
  ...(['tenant', 'event', 'job', 'webhook', 'hook', 'state', 'reason'] as const),
  ...(['created', 'settled', 'due', 'attempts'] as const),
] as const;
type Fields = Readonly<Record<(typeof FIELDS)[number], string | null>>;

/** Counts of all deliveries of the system. */
export interface WebhookBacklog {
  /** Those that wait or are under way. */
  readonly waiting: number;
  readonly dead: number;
}

/** What was delivered to whom, and what was given up. */
export class DeliveryLog {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #store: WebhookStore;
  readonly #secretKey: Uint8Array;
  readonly #limitsText: string;

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    store: WebhookStore;
    secretKey: Uint8Array;
    config: WebhooksConfig;
  }) {
    this.#redis = dependencies.redis;
    this.#names = dependencies.names;
    this.#store = dependencies.store;
    this.#secretKey = dependencies.secretKey;
    this.#limitsText = toLimitsText(dependencies.config);
  }

  /**
   * The newest first.
   * @param which all, or the dead letters alone
   * @param before a cursor; undefined for the first page
   */
  async list(
    tenant: string,
    which: 'all' | 'dead',
    { limit, before }: { readonly limit: number; readonly before: string | undefined },
  ): Promise<DeliveryPage> {
    const key = which === 'all' ? this.#names.webhookLog(tenant) : this.#names.webhookDead(tenant);
    const after = before === undefined ? undefined : await this.#redis.zrevrank(key, before);
    // A cursor that has left the log was among its oldest.
    if (after === null) return { deliveries: [], cursor: undefined };
    const from = after === undefined ? 0 : after + 1;
    const ids = await this.#redis.zrevrange(key, from, from + limit - 1);
    const endpoints = await this.#store.listEndpoints(tenant);
    const views = await Promise.all(
      ids.map(async (id) => {
        const values = await this.#redis.hmget(this.#names.webhookDelivery(id), ...FIELDS);
        return this.#toView(tenant, id, values, endpoints);
      }),
    );
    return {
      deliveries: views.filter((view) => view !== undefined),
      cursor: ids.length < limit ? undefined : ids.at(-1),
    };
  }

  /** @returns undefined when it is not known, or another tenant's */
  async find(
    tenant: string,
    id: string,
  ): Promise<{ readonly view: DeliveryView; readonly bodyText: string } | undefined> {
    const values = await this.#redis.hmget(this.#names.webhookDelivery(id), ...FIELDS, 'body');
    const endpoints = await this.#store.listEndpoints(tenant);
    const view = this.#toView(tenant, id, values, endpoints);
    return view === undefined ? undefined : { view, bodyText: values[FIELDS.length] ?? '' };
  }

  /**
   * @param values of FIELDS
   * @param endpoints all of the tenant's
   */
  #toView(
    tenant: string,
    id: string,
    values: readonly (string | null)[],
    endpoints: readonly Endpoint[],
  ): DeliveryView | undefined {
    // hmget answers one value for each field.
    const fields = Object.fromEntries(FIELDS.map((name, i) => [name, values[i] ?? null])) as Fields;
    if (fields.tenant !== tenant) return undefined;
    const state = (fields.state ?? 'dead') as DeliveryView['state']; // as the scripts write it
    const webhookId = fields.webhook === '' ? undefined : (fields.webhook ?? undefined);
    const target =
      webhookId === undefined
        ? openJobHook(this.#secretKey, fields.hook ?? '')
        : endpoints.find((endpoint) => endpoint.id === webhookId);
    return {
      ...{ id, state, webhookId },
      type: webhookType((fields.event ?? '') as WebhookEvent), // as the outbox had it
      promptId: promptIdOf((fields.job ?? '') as JobId), // as Redis has it
      receiver: target === undefined ? undefined : new URL(target.url).origin,
      reason: fields.reason === '' ? undefined : (fields.reason ?? undefined),
      createdAtMs: Number(fields.created),
      settledAtMs:
        fields.settled === null || state === 'waiting' ? undefined : Number(fields.settled),
      nextTryAtMs: state === 'waiting' ? Number(fields.due) : undefined,
      attempts: readAttempts(fields.attempts ?? '[]'),
    };
  }

  /**
   * Delivers once more what was delivered or given up; one that waits is tried now.
   * @returns false when it is not known
   * @throws AppError webhook_not_redelivered
   */
  async redeliver(tenant: string, id: string): Promise<boolean> {
    const reply = await redeliverScript.run(this.#redis, {
      prefix: this.#names.prefix,
      ...{ tenant, id, limits_json: this.#limitsText },
    });
    switch (reply) {
      case 'waiting':
        return true;
      case 'unknown':
        return false;
      case 'full':
        throw new AppError(
          'webhook_not_redelivered',
          'Too many deliveries wait (webhooks.maxWaiting).',
          {
            retryAfterSeconds: 60,
          },
        );
      case 'gone':
        throw new AppError(
          'webhook_not_redelivered',
          'The body of this delivery was not kept: there was no room for it (webhooks.logBytes).',
        );
    }
  }

  async readBacklog(): Promise<WebhookBacklog> {
    const [waiting, dead] = await this.#redis.hmget(this.#names.webhookSizes, 'waiting', 'dead');
    return { waiting: Number(waiting ?? 0), dead: Number(dead ?? 0) };
  }
}
