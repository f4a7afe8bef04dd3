import { AppError, DEFAULT_TENANT, isTenantName, ROLES, type Role } from '@tiercel/contracts';
import type { Config } from '@tiercel/runtime';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';

type JwtConfig = NonNullable<Config['auth']['jwt']>;

/** What a token says of who shows it. */
export interface TokenIdentity {
  readonly tenant: string;
  /** Undefined: it names none. */
  readonly plan: string | undefined;
  readonly role: Role;
  /** In ms. */
  readonly expiresAt: number;
}

/** Signatures by a private key of the provider's. Not HS*: whoever could check one could also make one. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** How far the provider's clock may be from Redis'. */
export const CLOCK_TOLERANCE_SECONDS = 5;
const JWKS_TIMEOUT_MS = 5_000;
/** Keys that the provider has withdrawn are good no longer than this. */
const JWKS_MAX_AGE_MS = 600_000;
const MAX_TOKEN_CHARACTERS = 8_192;

/** Whether a text can be a token: three parts, the first two JSON objects in base64url. */
export function isTokenText(text: string): boolean {
  return text.length <= MAX_TOKEN_CHARACTERS && /^ey[\w-]+\.ey[\w-]+\.[\w-]+$/.test(text);
}

/**
 * Checks tokens of an OpenID provider. Its keys are read when the first token comes, again every ten minutes, and when
 * a token names one that is not known; between two readings for that reason are `cooldownMs`, so that made-up tokens
 * do not become a flood for the provider.
 */
export class JwtVerifier {
  readonly #config: JwtConfig;
  readonly #cooldownMs: number;
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  /** When the keys were last read because a token named one that was not known. */
  #readForTokenAt = -Infinity;

  constructor(config: JwtConfig, cooldownMs: number) {
    this.#config = config;
    this.#cooldownMs = cooldownMs;
    this.#keys = createRemoteJWKSet(new URL(config.jwksUrl), {
      // jose counts from any reading: a provider that changes its keys just after one would be refused so long.
      cooldownDuration: Infinity,
      cacheMaxAge: JWKS_MAX_AGE_MS,
      timeoutDuration: JWKS_TIMEOUT_MS,
    });
  }

  /**
   * @throws AppError unauthorized for a token that is not good; identity_unavailable when the provider cannot be asked
   */
  async verify(token: string, nowMs: number): Promise<TokenIdentity> {
    const { issuer, audience } = this.#config;
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, this.#findKey, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(nowMs),
        requiredClaims: ['exp'],
      }));
    } catch (cause) {
      throw translate(cause);
    }
    return this.#identify(payload);
  }

  readonly #findKey: JWTVerifyGetKey = async (header, token) => {
    const keys = this.#keys;
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // Who comes while they are read waits for that reading.
      const isCoolingDown = performance.now() < this.#readForTokenAt + this.#cooldownMs;
      if (isCoolingDown && !keys.reloading) throw error;
      await keys.reload();
      this.#readForTokenAt = performance.now();
      return await keys(header, token);
    }
  };

  #identify(payload: JWTPayload): TokenIdentity {
    const { claims } = this.#config;
    const tenant = readClaim(payload, claims.tenant);
    // The default tenant's are the jobs of the time without keys: no name that a provider gives opens them.
    if (typeof tenant !== 'string' || !isTenantName(tenant) || tenant === DEFAULT_TENANT) {
      throw refuse(`its claim ${claims.tenant} names no tenant`);
    }
    const plan = readClaim(payload, claims.plan);
    const expiresAt = (payload.exp ?? 0) * 1_000;
    return {
      ...{ tenant, expiresAt },
      plan: typeof plan === 'string' && plan !== '' ? plan : undefined,
      role: readRole(readClaim(payload, claims.role)),
    };
  }
}

/** A claim by its whole name (which may be a URL), else `a.b` as member `b` of claim `a`. */
function readClaim(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** The highest role of those that a provider lists; what is not one of ours says nothing. */
function readRole(claim: unknown): Role {
  const named: unknown[] = Array.isArray(claim) ? claim : [claim];
  return ROLES.findLast((role) => named.includes(role)) ?? 'user';
}

function translate(cause: unknown): AppError {
  if (cause instanceof errors.JWTExpired) return refuse('it has expired', cause);
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return refuse(`its claim ${cause.claim} is not what is asked for`, cause);
  }
  if (cause instanceof errors.JOSEAlgNotAllowed) return refuse('its algorithm is not taken', cause);
  if (
    cause instanceof errors.JWKSNoMatchingKey ||
    cause instanceof errors.JWSSignatureVerificationFailed ||
    cause instanceof errors.JWKSMultipleMatchingKeys
  ) {
    return refuse('it is not signed by the provider', cause);
  }
  const isMalformed =
    cause instanceof errors.JWSInvalid ||
    cause instanceof errors.JWTInvalid ||
    cause instanceof errors.JOSENotSupported;
  if (isMalformed) return refuse('it cannot be read', cause);
  return new AppError(
    'identity_unavailable',
    'The OpenID provider cannot be asked for its keys now; try again.',
    { cause, retryAfterSeconds: 5 },
  );
}

function refuse(why: string, cause?: unknown): AppError {
  return new AppError('unauthorized', `The token is not good: ${why}.`, { cause });
}
