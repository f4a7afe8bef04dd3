import { randomBytes } from 'node:crypto';
import { AppError, isTenantName, type RedisNames, type Role } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { createKeyScript } from '../lua/create-key.ts';
import { noteKeyUseScript } from '../lua/note-key-use.ts';
import { readVersionsScript } from '../lua/read-versions.ts';
import { revokeKeyScript } from '../lua/revoke-key.ts';
import { keyState, parseKeyRecord, type KeyRecord, type KeyState } from './key-record.ts';
import { hashKeyText, makeKeyText } from './key-text.ts';

/** Who changes something, for the audit. */
export interface Actor {
  /** `admin`, a key's id, a token's subject, `command line`. */
  readonly who: string;
  /** An address, or a host. */
  readonly from: string;
}

export interface NewKey {
  readonly name: string;
  readonly tenant: string;
  readonly plan: string;
  readonly role: Role;
  /** In ms. */
  readonly expiresAt: number | undefined;
}

/** A key that was just made: the only moment in which its text is known. */
export interface MadeKey {
  readonly record: KeyRecord;
  readonly key: string;
}

const DAY_MS = 86_400_000;
/** How long a key that has expired or was revoked is listed. */
const KEPT_MS = 30 * DAY_MS;
const USE_EVERY_MS = 60_000;
const RECORDS_AT_ONCE = 500;
const MAX_NAME_CHARACTERS = 200;

/** API keys in Redis: the hash of each, who it is for, until when. */
export class KeyStore {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #auditMax: number;
  readonly #usedAtMs = new Map<string, number>();

  /** @param auditMaxEntries changes that are kept on record */
  constructor(redis: Redis, names: RedisNames, auditMaxEntries: number) {
    this.#redis = redis;
    this.#names = names;
    this.#auditMax = auditMaxEntries;
  }

  /**
   * @param onlyFirst makes one only when there is none yet, whoever else does the same at this moment
   * @returns undefined when there is one already
   * @throws AppError bad_request for a tenant or name that cannot be, or an expiry that is over
   */
  async create(
    wanted: NewKey,
    actor: Actor,
    { onlyFirst = false }: { readonly onlyFirst?: boolean } = {},
  ): Promise<MadeKey | undefined> {
    await this.#check(wanted);
    const made = await this.#make(wanted, actor, { onlyFirst });
    return typeof made === 'number' ? undefined : made;
  }

  /**
   * A new text for the same tenant, plan, role and expiry; the earlier one ends.
   * @param graceMs how long the earlier one is still good; 0: not at all
   * @throws AppError key_unknown; bad_request when it has ended
   */
  async rotate(id: string, graceMs: number, actor: Actor): Promise<MadeKey> {
    const made = await this.#make(await this.read(id), actor, { replaces: id, graceMs });
    if (made === -1) throw unknownKey(id);
    if (typeof made === 'number') {
      throw new AppError(
        'bad_request',
        `The key ${id} is revoked or expired: make a new one with create.`,
      );
    }
    return made;
  }

  /**
   * Ends a key at once.
   * @throws AppError key_unknown
   */
  async revoke(id: string, { who, from }: Actor): Promise<void> {
    const { prefix } = this.#names;
    const values = { prefix, id, kept_ms: KEPT_MS, who, from, audit_max: this.#auditMax };
    if (!(await revokeKeyScript.run(this.#redis, values))) throw unknownKey(id);
  }

  /** Of a key's hash; also one that has ended. */
  async find(hash: string): Promise<KeyRecord | undefined> {
    return parseKeyRecord(await this.#redis.hgetall(this.#names.apiKey(hash)));
  }

  /**
   * Of its id; also one that has ended, for 30 days.
   * @throws AppError key_unknown
   */
  async read(id: string): Promise<KeyRecord> {
    const hash = await this.#redis.hget(this.#names.apiKeys, id);
    const record = hash === null ? undefined : await this.find(hash);
    if (record === undefined) throw unknownKey(id);
    return record;
  }

  /**
   * Keys, those that have ended too, in the order in which they were made.
   * @param tenant only those of this one; undefined: all
   */
  async list(tenant?: string): Promise<KeyRecord[]> {
    const { apiKeys, apiKey } = this.#names;
    const listed: KeyRecord[] = [];
    let cursor = '0';
    do {
      const [next, pairs] = await this.#redis.hscan(apiKeys, cursor, 'COUNT', RECORDS_AT_ONCE);
      cursor = next;
      const ids = pairs.filter((_, index) => index % 2 === 0);
      const records = await Promise.all(
        pairs
          .filter((_, index) => index % 2 === 1)
          .map((hash) => this.#redis.hgetall(apiKey(hash))),
      );
      const found = records.map(parseKeyRecord);
      // A record goes by itself some time after its end; its id goes here.
      const gone = ids.filter((_, index) => found[index] === undefined);
      if (gone.length > 0) await this.#redis.hdel(apiKeys, ...gone);
      for (const record of found) {
        if (record === undefined) continue;
        if (tenant === undefined || record.tenant === tenant) listed.push(record);
      }
    } while (cursor !== '0');
    return listed.sort((a, b) => a.createdAt - b.createdAt);
  }

  /** How many keys there are in each state. */
  async countByState(): Promise<Record<KeyState, number>> {
    const nowMs = await this.nowMs();
    const counts = { active: 0, expired: 0, revoked: 0 };
    for (const record of await this.list()) counts[keyState(record, nowMs)] += 1;
    return counts;
  }

  /** Notes that a key is used now: written at most once a minute. */
  async noteUse(hash: string, nowMs: number): Promise<void> {
    if (nowMs - (this.#usedAtMs.get(hash) ?? -Infinity) < USE_EVERY_MS) return;
    this.#usedAtMs.set(hash, nowMs);
    if (this.#usedAtMs.size > RECORDS_AT_ONCE) this.#forgetOldUses(nowMs);
    const { prefix } = this.#names;
    await noteKeyUseScript.run(this.#redis, { prefix, hash, every_ms: USE_EVERY_MS });
  }

  #forgetOldUses(nowMs: number): void {
    for (const [hash, usedAtMs] of this.#usedAtMs) {
      if (nowMs - usedAtMs >= USE_EVERY_MS) this.#usedAtMs.delete(hash);
    }
  }

  /** Redis' clock, by which keys expire. */
  async nowMs(): Promise<number> {
    const { prefix } = this.#names;
    return (await readVersionsScript.run(this.#redis, { prefix })).nowMs;
  }

  async #check({ tenant, name, expiresAt }: NewKey): Promise<void> {
    if (!isTenantName(tenant)) {
      throw new AppError(
        'bad_request',
        'A tenant is 1 to 128 printable characters without blanks at its ends, and does not begin with ip:.',
      );
    }
    if (name.length > MAX_NAME_CHARACTERS) {
      throw new AppError(
        'bad_request',
        `A key's name has at most ${MAX_NAME_CHARACTERS} characters.`,
      );
    }
    if (expiresAt !== undefined && expiresAt <= (await this.nowMs())) {
      throw new AppError('bad_request', 'The expiry is in the past.');
    }
  }

  /** @returns the script's refusal: 0, -1 or -2 */
  async #make(
    { name, tenant, plan, role, expiresAt }: NewKey,
    { who, from }: Actor,
    how: { readonly onlyFirst?: boolean; readonly replaces?: string; readonly graceMs?: number },
  ): Promise<MadeKey | number> {
    const key = makeKeyText();
    const id = `key_${randomBytes(8).toString('hex')}`;
    const createdAt = await createKeyScript.run(this.#redis, {
      ...{ prefix: this.#names.prefix, hash: hashKeyText(key), id, name, tenant, plan, role },
      expires_at: expiresAt ?? '',
      only_first: how.onlyFirst === true ? '1' : '',
      replaces: how.replaces ?? '',
      grace_ms: how.graceMs ?? 0,
      kept_ms: KEPT_MS,
      after: JSON.stringify({ id, name, tenant, plan, role, expiresAt }),
      ...{ who, from, audit_max: this.#auditMax },
    });
    if (createdAt <= 0) return createdAt;
    const ends = { expiresAt, revokedAt: undefined, lastUsedAt: undefined };
    return { key, record: { id, name, tenant, plan, role, createdAt, ...ends } };
  }
}

function unknownKey(id: string): AppError {
  return new AppError('key_unknown', `There is no key ${JSON.stringify(id)}.`);
}
