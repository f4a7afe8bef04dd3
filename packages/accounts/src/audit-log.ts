import type { RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { z } from 'zod';
import type { Actor } from './keys/key-store.ts';
import { resetBreakerScript } from './lua/reset-breaker.ts';
import { writeAuditScript } from './lua/write-audit.ts';

const json = z.string().transform((text) => (text === '' ? null : (JSON.parse(text) as unknown)));
const fields = z.object({
  at: z.coerce.number(),
  who: z.string(),
  from: z.string(),
  action: z.string(),
  target: z.string(),
  before: json,
  after: json,
});

/** A change by an administrator: who, when (ms), from where, what, and how it was and is; null where it was not. */
export interface AuditEntry extends z.infer<typeof fields> {
  readonly id: string;
}

const ENTRIES_AT_ONCE = 500;

/** What administrators have changed: written by the very steps that change it, the newest kept. */
export class AuditLog {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #maxEntries: number;

  /** @param maxEntries changes that are kept on record, about */
  constructor(redis: Redis, names: RedisNames, maxEntries: number) {
    this.#redis = redis;
    this.#names = names;
    this.#maxEntries = maxEntries;
  }

  /** For what is changed elsewhere; written before it is, so that nothing is changed without a word. */
  async write(
    action: string,
    target: string,
    { before, after }: { readonly before: object; readonly after: object | null },
    actor: Actor,
  ): Promise<void> {
    const { prefix } = this.#names;
    await writeAuditScript.run(this.#redis, {
      ...{ prefix, action, target },
      ...{ before: JSON.stringify(before), after: after === null ? '' : JSON.stringify(after) },
      ...{ who: actor.who, from: actor.from, audit_max: this.#maxEntries },
    });
  }

  /** Closes the breaker of a tier, for all workers: the next job may try it. */
  async resetBreaker(tier: string, actor: Actor): Promise<void> {
    await resetBreakerScript.run(this.#redis, {
      ...{ prefix: this.#names.prefix, tier, who: actor.who, from: actor.from },
      audit_max: this.#maxEntries,
    });
  }

  /**
   * The newest first.
   * @param before id of an entry: only older ones
   */
  async readPage(limit: number, before?: string): Promise<AuditEntry[]> {
    const newest = before === undefined ? '+' : `(${before}`;
    const entries = await this.#redis.xrevrange(this.#names.audit, newest, '-', 'COUNT', limit);
    return entries.map(parseEntry);
  }

  /** All that is kept, the oldest first, some at a time. */
  async *export(): AsyncGenerator<readonly AuditEntry[]> {
    for (let after = '-'; ;) {
      const entries = await this.#redis.xrange(
        ...([this.#names.audit, after, '+', 'COUNT', ENTRIES_AT_ONCE] as const),
      );
      if (entries.length > 0) yield entries.map(parseEntry);
      if (entries.length < ENTRIES_AT_ONCE) return;
      after = `(${entries.at(-1)?.[0] ?? ''}`;
    }
  }
}

function parseEntry([id, pairs]: [id: string, pairs: string[]]): AuditEntry {
  const named: Record<string, string> = {};
  for (let i = 0; i + 1 < pairs.length; i += 2) named[pairs[i] ?? ''] = pairs[i + 1] ?? '';
  return { id, ...fields.parse(named) };
}
