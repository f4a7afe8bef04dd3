import { ROLES, type Role } from '@tiercel/contracts';
import { z } from 'zod';

export type KeyState = 'active' | 'expired' | 'revoked';

/** An API key as it is on record: all but the key itself, of which only a hash is stored. Times in ms. */
export interface KeyRecord {
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly tenant: string;
  readonly plan: string;
  readonly role: Role;
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly revokedAt: number | undefined;
  /** To a minute. */
  readonly lastUsedAt: number | undefined;
}

const time = z.coerce.number().optional();
const fields = z.object({
  id: z.string(),
  name: z.string(),
  tenant: z.string(),
  plan: z.string(),
  role: z.enum(ROLES),
  created_at: z.coerce.number(),
  expires_at: time,
  revoked_at: time,
  last_used_at: time,
});

/** @param hash fields of `api-key:<hash>`; none when there is no such key */
export function parseKeyRecord(hash: Readonly<Record<string, string>>): KeyRecord | undefined {
  const parsed = fields.safeParse(hash);
  if (!parsed.success) return undefined;
  const { created_at, expires_at, revoked_at, last_used_at, ...rest } = parsed.data;
  return {
    ...rest,
    ...{ createdAt: created_at, expiresAt: expires_at, revokedAt: revoked_at },
    lastUsedAt: last_used_at,
  };
}

export function keyState(
  { revokedAt, expiresAt }: Pick<KeyRecord, 'revokedAt' | 'expiresAt'>,
  nowMs: number,
): KeyState {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && expiresAt <= nowMs ? 'expired' : 'active';
}

/** A key as the admin API and the keys command show it; times are ISO 8601, null where there is none. */
export function describeKey(record: KeyRecord, nowMs: number) {
  const { id, name, tenant, plan, role } = record;
  return {
    ...{ id, name, tenant, plan, role, state: keyState(record, nowMs) },
    created_at: iso(record.createdAt),
    expires_at: iso(record.expiresAt),
    revoked_at: iso(record.revokedAt),
    last_used_at: iso(record.lastUsedAt),
  };
}

function iso(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString();
}
