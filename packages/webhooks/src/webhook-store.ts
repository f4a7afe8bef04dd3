import { randomUUID } from 'node:crypto';
import { AppError, isWebhookEvent, type RedisNames, type WebhookEvent } from '@tiercel/contracts';
import {
  openSecrets,
  sealSecrets,
  type Clock,
  type Redis,
  type WebhooksConfig,
} from '@tiercel/runtime';
import { z } from 'zod';
import { createWebhookSecret } from './sign-webhook.ts';
import { putEndpointScript } from './lua/put-endpoint.ts';
import { putSecretScript } from './lua/put-secret.ts';

const endpointSchema = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.custom<WebhookEvent>(isWebhookEvent)).readonly(),
  secretRef: z.string(),
  createdAtMs: z.number(),
  /** Why it is told nothing; undefined while it is. */
  disabled: z.enum(['gone', 'by_hand']).optional(),
});
/** A webhook of a tenant: told of all its jobs. */
export type Endpoint = Readonly<z.infer<typeof endpointSchema>>;

const secretSchema = z.object({
  current: z.string(),
  former: z.string().optional(),
  /** Until then the former one signs too. */
  formerUntilMs: z.number().optional(),
  createdAtMs: z.number(),
});
type StoredSecret = z.infer<typeof secretSchema>;

/** What may be shown of a signing secret. */
export interface SecretView {
  readonly name: string;
  readonly createdAtMs: number;
  readonly formerUntilMs: number | undefined;
}

/** Signs for jobs that name no secret. */
export const DEFAULT_SECRET = 'default';

/** The webhooks and signing secrets of tenants. All is sealed in Redis: addresses hold credentials too. */
export class WebhookStore {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #key: Uint8Array;
  readonly #limits: Pick<WebhooksConfig, 'maxEndpoints' | 'secretOverlapMs'>;
  readonly #clock: Clock;

  constructor(dependencies: {
    redis: Redis;
    names: RedisNames;
    secretKey: Uint8Array;
    limits: Pick<WebhooksConfig, 'maxEndpoints' | 'secretOverlapMs'>;
    clock: Clock;
  }) {
    this.#redis = dependencies.redis;
    this.#names = dependencies.names;
    this.#key = dependencies.secretKey;
    this.#limits = dependencies.limits;
    this.#clock = dependencies.clock;
  }

  async listEndpoints(tenant: string): Promise<Endpoint[]> {
    const values = await this.#redis.hvals(this.#names.webhookEndpoints(tenant));
    const endpoints = values.flatMap((value) => this.#openEndpoint(value) ?? []);
    return endpoints.sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  async findEndpoint(tenant: string, id: string): Promise<Endpoint | undefined> {
    const value = await this.#redis.hget(this.#names.webhookEndpoints(tenant), id);
    return value === null ? undefined : this.#openEndpoint(value);
  }

  /**
   * Adds a webhook. Without the name of a secret it gets one of its own, which only this answer shows.
   * @throws AppError webhook_invalid when the tenant has no such secret, or too many webhooks
   */
  async addEndpoint(
    tenant: string,
    given: Pick<Endpoint, 'url' | 'events'> & { readonly secretRef: string | undefined },
  ): Promise<{ endpoint: Endpoint; secret: string | undefined }> {
    const id = `wh_${randomUUID().replaceAll('-', '')}`;
    const { secretRef = id, url, events } = given;
    let secret: string | undefined;
    if (given.secretRef === undefined) secret = await this.putSecret(tenant, id, undefined);
    else if (!(await this.hasSecret(tenant, secretRef))) throw unknownSecret(secretRef);
    const endpoint = { id, url, events, secretRef, createdAtMs: this.#clock.now() };
    if ((await this.#putEndpoint(tenant, endpoint, 'new')) === 'full') {
      if (secret !== undefined) await this.deleteSecret(tenant, id);
      throw this.#tooMany('webhooks');
    }
    return { endpoint, secret };
  }

  /** Tells it nothing any more, or again. @returns false when it is not known */
  async setDisabled(tenant: string, id: string, disabled: Endpoint['disabled']): Promise<boolean> {
    const endpoint = await this.findEndpoint(tenant, id);
    if (endpoint === undefined) return false;
    const { url, events, secretRef, createdAtMs } = endpoint;
    const changed = { id, url, events, secretRef, createdAtMs };
    return (
      (await this.#putEndpoint(
        tenant,
        disabled === undefined ? changed : { ...changed, disabled },
        'known',
      )) === 'ok'
    );
  }

  /** @returns false when it is not known */
  async deleteEndpoint(tenant: string, id: string): Promise<boolean> {
    const { prefix } = this.#names;
    const call = { prefix, tenant, id, value: '', mode: 'any', most: 0 };
    if ((await putEndpointScript.run(this.#redis, call)) === 'unknown') return false;
    await this.deleteSecret(tenant, id);
    return true;
  }

  #putEndpoint(tenant: string, endpoint: Endpoint, mode: 'new' | 'known') {
    const wanted = endpoint.disabled === undefined ? toWordList(endpoint.events) : '';
    return putEndpointScript.run(this.#redis, {
      prefix: this.#names.prefix,
      ...{ tenant, id: endpoint.id, mode, most: this.#limits.maxEndpoints },
      value: `${wanted}\n${sealSecrets(this.#key, JSON.stringify(endpoint))}`,
    });
  }

  #openEndpoint(value: string): Endpoint | undefined {
    return this.#open(endpointSchema, value.slice(value.indexOf('\n') + 1));
  }

  /** What was sealed with the key of another data folder is as if it was not there: others are not to suffer by it. */
  #open<T>(schema: z.ZodType<T>, sealed: string): T | undefined {
    try {
      return schema.parse(JSON.parse(openSecrets(this.#key, sealed)));
    } catch {
      return undefined;
    }
  }

  async listSecrets(tenant: string): Promise<SecretView[]> {
    const stored = await this.#redis.hgetall(this.#names.webhookSecrets(tenant));
    return Object.entries(stored)
      .flatMap(([name, sealed]) => {
        const secret = this.#open(secretSchema, sealed);
        if (secret === undefined) return [];
        const { createdAtMs, formerUntilMs } = secret;
        const isOver = formerUntilMs === undefined || formerUntilMs <= this.#clock.now();
        return { name, createdAtMs, formerUntilMs: isOver ? undefined : formerUntilMs };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async hasSecret(tenant: string, name: string): Promise<boolean> {
    return (await this.#redis.hexists(this.#names.webhookSecrets(tenant), name)) === 1;
  }

  /**
   * Makes or replaces a secret; one that is replaced signs beside the new one for `secretOverlapMs`.
   * @param given the new one; undefined to have one made
   * @returns the new one
   * @throws AppError webhook_invalid when the tenant has too many
   */
  async putSecret(tenant: string, name: string, given: string | undefined): Promise<string> {
    const current = given ?? createWebhookSecret();
    const before = await this.#readSecret(tenant, name);
    const now = this.#clock.now();
    const next: StoredSecret = { current, createdAtMs: now };
    if (before !== undefined && before.current !== current) {
      next.former = before.current;
      next.formerUntilMs = now + this.#limits.secretOverlapMs;
    }
    const reply = await putSecretScript.run(this.#redis, {
      key: this.#names.webhookSecrets(tenant),
      ...{ name, value: sealSecrets(this.#key, JSON.stringify(next)), mode: 'any' },
      // One for each webhook, and as many that are named.
      most: 2 * this.#limits.maxEndpoints,
    });
    if (reply === 'full') throw this.#tooMany('secrets');
    return current;
  }

  /** The secret `default` is made when a job first needs it; its owner learns it by replacing it. */
  async ensureDefaultSecret(tenant: string): Promise<void> {
    const next: StoredSecret = { current: createWebhookSecret(), createdAtMs: this.#clock.now() };
    await putSecretScript.run(this.#redis, {
      key: this.#names.webhookSecrets(tenant),
      ...{ name: DEFAULT_SECRET, value: sealSecrets(this.#key, JSON.stringify(next)) },
      ...{ mode: 'new', most: 2 * this.#limits.maxEndpoints + 1 },
    });
  }

  /** @returns false when it is not known */
  async deleteSecret(tenant: string, name: string): Promise<boolean> {
    return (await this.#redis.hdel(this.#names.webhookSecrets(tenant), name)) === 1;
  }

  /** The secrets that sign now: one, or two while it is being replaced; none when it is not known. */
  async signingSecrets(tenant: string, name: string): Promise<string[]> {
    const secret = await this.#readSecret(tenant, name);
    if (secret === undefined) return [];
    const { current, former, formerUntilMs = 0 } = secret;
    return former === undefined || formerUntilMs <= this.#clock.now()
      ? [current]
      : [current, former];
  }

  async #readSecret(tenant: string, name: string): Promise<StoredSecret | undefined> {
    const sealed = await this.#redis.hget(this.#names.webhookSecrets(tenant), name);
    return sealed === null ? undefined : this.#open(secretSchema, sealed);
  }

  #tooMany(what: string): AppError {
    const { maxEndpoints } = this.#limits;
    return new AppError(
      'webhook_invalid',
      `There are too many ${what}: at most ${maxEndpoints} (webhooks.maxEndpoints). Delete one first.`,
    );
  }
}

export function unknownSecret(name: string): AppError {
  return new AppError(
    'webhook_invalid',
    `secret_ref names no secret: there is no ${JSON.stringify(name)}. Make it with POST /api/webhooks/secrets.`,
  );
}

/** Events as note-webhook.lua looks for them: each between blanks. */
export function toWordList(events: readonly WebhookEvent[]): string {
  return ` ${events.join(' ')} `;
}
