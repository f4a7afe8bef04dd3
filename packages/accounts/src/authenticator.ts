import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError, DEFAULT_TENANT, type Role } from '@tiercel/contracts';
import type { Config, Logger } from '@tiercel/runtime';
import type { ChangeWatch } from './change-watch.ts';
import { CLOCK_TOLERANCE_SECONDS, isTokenText, JwtVerifier } from './jwt-verifier.ts';
import { keyState, type KeyRecord } from './keys/key-record.ts';
import type { KeyStore } from './keys/key-store.ts';
import { hashKeyText, isKeyText } from './keys/key-text.ts';

/** Whom a key or a token stands for. */
export interface Identity {
  readonly tenant: string;
  readonly plan: string | undefined;
  readonly role: Role;
  /** Of an API key; `admin` for the configured one. */
  readonly keyId?: string;
  /** When it ends by itself, in ms of Redis' clock; undefined: never. */
  readonly expiresAt: number | undefined;
  /** Which credential this is, without telling it: for whoever holds connections open. */
  readonly credentialId: string;
}

export interface AuthenticatorParts {
  readonly keys: KeyStore;
  readonly watch: ChangeWatch;
  readonly auth: Config['auth'];
  readonly log: Logger;
}

/** Stands for the key of the configuration. */
const ADMIN_ID = 'admin';
const MAX_CACHED = 10_000;

/**
 * Tells whom an API key, the configured admin key, or a token stands for.
 *
 * Keys are looked up once and remembered until any key changes anywhere. What is remembered counts only while the
 * watch is current: a process that cannot see changes asks Redis each time, and so lets nobody in who was shut out.
 */
export class Authenticator {
  readonly #parts: AuthenticatorParts;
  /** Only what looks alike is compared with it: each API key would be hashed twice. */
  readonly #adminKey: { readonly digest: Buffer; readonly isKeyText: boolean } | undefined;
  readonly #jwt: JwtVerifier | undefined;
  readonly #found = new Map<string, KeyRecord>();
  /** Counts forgettings: what was asked for before one is not remembered after it. */
  #forgotten = 0;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
    const { auth, watch } = parts;
    const { adminKey } = auth;
    this.#adminKey =
      adminKey === undefined
        ? undefined
        : { digest: digest(adminKey), isKeyText: isKeyText(adminKey) };
    this.#jwt = auth.jwt === undefined ? undefined : new JwtVerifier(auth.jwt, auth.jwksCooldownMs);
    watch.onChange('keys', () => {
      this.#found.clear();
      this.#forgotten += 1;
    });
  }

  /**
   * @param credential as it was sent
   * @throws AppError unauthorized; identity_unavailable; what Redis throws
   */
  async identify(credential: string): Promise<Identity> {
    if (this.#isAdminKey(credential)) {
      // The jobs of the time without keys are the administrator's.
      return {
        ...{ tenant: DEFAULT_TENANT, plan: undefined, role: 'admin', keyId: ADMIN_ID },
        ...{ expiresAt: undefined, credentialId: ADMIN_ID },
      };
    }
    if (isKeyText(credential)) return await this.#identifyKey(hashKeyText(credential));
    if (this.#jwt !== undefined && isTokenText(credential)) {
      return await this.#identifyToken(credential, this.#jwt);
    }
    throw new AppError('unauthorized', 'This is no API key of this server, and no token.');
  }

  #isAdminKey(credential: string): boolean {
    const admin = this.#adminKey;
    if (admin === undefined || admin.isKeyText !== isKeyText(credential)) return false;
    return timingSafeEqual(digest(credential), admin.digest);
  }

  async #identifyKey(hash: string): Promise<Identity> {
    const { keys, watch, log } = this.#parts;
    const record = await this.#recall(hash);
    if (record === undefined) throw new AppError('unauthorized', 'This API key is not known.');
    const nowMs = watch.nowMs();
    const state = keyState(record, nowMs);
    if (state !== 'active') throw new AppError('unauthorized', `This API key is ${state}.`);
    keys.noteUse(hash, nowMs).catch((error: unknown) => {
      log.debug({ err: error }, 'the use of a key could not be noted');
    });
    const { id, tenant, plan, role, expiresAt } = record;
    return { ...{ tenant, plan, role, expiresAt }, keyId: id, credentialId: hash };
  }

  async #recall(hash: string): Promise<KeyRecord | undefined> {
    const known = this.#parts.watch.isCurrent ? this.#found.get(hash) : undefined;
    return known ?? (await this.#find(hash));
  }

  async #find(hash: string): Promise<KeyRecord | undefined> {
    const forgotten = this.#forgotten;
    const record = await this.#parts.keys.find(hash);
    // Unknown keys are not remembered: there is no end to them.
    if (record !== undefined && forgotten === this.#forgotten) {
      if (this.#found.size >= MAX_CACHED) this.#found.clear();
      this.#found.set(hash, record);
    }
    return record;
  }

  async #identifyToken(token: string, jwt: JwtVerifier): Promise<Identity> {
    const { watch, auth } = this.#parts;
    const { tenant, plan, role, expiresAt } = await jwt.verify(token, watch.nowMs());
    return {
      ...{ tenant, role, plan: plan ?? auth.jwt?.defaultPlan },
      expiresAt: expiresAt + CLOCK_TOLERANCE_SECONDS * 1_000,
      credentialId: hashKeyText(token),
    };
  }

  /** Whether a credential that was good is so still. */
  async isGood({ credentialId, keyId, expiresAt }: Identity): Promise<boolean> {
    const nowMs = this.#parts.watch.nowMs();
    if (expiresAt !== undefined && expiresAt <= nowMs) return false;
    if (keyId === undefined || keyId === ADMIN_ID) return true;
    const record = await this.#recall(credentialId);
    return record !== undefined && keyState(record, nowMs) === 'active';
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
