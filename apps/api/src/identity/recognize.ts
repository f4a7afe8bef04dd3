import type { IncomingMessage } from 'node:http';
import type { Authenticator, Identity, PolicyStore } from '@tiercel/accounts';
import { ANONYMOUS_PLAN, AppError, type Caller } from '@tiercel/contracts';
import { tenantOfAddress, type CallerAddresses } from './caller-address.ts';
import { takeCredential, type Credential } from './credentials.ts';

/** What a request says of its sender, taken off it, before it is known to be true. */
export interface Claim {
  readonly credential: Credential;
  readonly address: string;
  /** Whether the caller's own connection is https. */
  readonly isSecure: boolean;
}

export interface Recognized {
  readonly caller: Caller;
  readonly identity: Identity;
}

export interface RecognizerParts {
  readonly mode: 'optional' | 'required';
  readonly addresses: CallerAddresses;
  readonly authenticator: Pick<Authenticator, 'identify'>;
  readonly policy: Pick<PolicyStore, 'isBlocked'>;
}

/** Finds out who sends a request. */
export class Recognizer {
  readonly #parts: RecognizerParts;

  constructor(parts: RecognizerParts) {
    this.#parts = parts;
  }

  /** Takes off a request what it says of its sender. */
  takeClaim(req: IncomingMessage): Claim {
    const { addresses } = this.#parts;
    const isSecure = addresses.isSecure(req);
    return {
      ...{ isSecure, address: addresses.addressOf(req) },
      credential: takeCredential(req, isSecure),
    };
  }

  /** @throws AppError unauthorized, forbidden, identity_unavailable; what Redis throws */
  async recognize({ credential, address }: Claim): Promise<Recognized> {
    const identity = await this.#identify(credential, address);
    if (this.#parts.policy.isBlocked(identity.tenant)) {
      throw new AppError('forbidden', 'This tenant is blocked; ask whoever runs the server.');
    }
    const { tenant, plan, role, keyId } = identity;
    const caller = { tenant, plan, role, address, ...(keyId === undefined ? {} : { keyId }) };
    return { caller, identity };
  }

  async #identify(credential: Credential, address: string): Promise<Identity> {
    switch (credential.kind) {
      case 'refused':
        throw credential.error;
      case 'one':
        return await this.#parts.authenticator.identify(credential.text);
      case 'none': {
        if (this.#parts.mode === 'required') {
          throw new AppError(
            'unauthorized',
            'This server asks who you are: send an API key as Authorization: Bearer, X-API-Key or ?token=, or log in at /login.',
          );
        }
        const tenant = tenantOfAddress(address);
        return {
          ...{ tenant, plan: ANONYMOUS_PLAN, role: 'user', expiresAt: undefined },
          credentialId: tenant,
        };
      }
    }
  }
}
