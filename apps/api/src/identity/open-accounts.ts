import { AuditLog, Authenticator, ChangeWatch, KeyStore, PolicyStore } from '@tiercel/accounts';
import type { RunningProcess } from '@tiercel/runtime';
import { createProxyMatcher } from '../proxy/proxy-rules.ts';
import { createCallerAddresses } from './caller-address.ts';
import { createGate, createOpenGate, type Gate } from './gate.ts';
import type { LoginDependencies } from './login.ts';
import { OpenConnections } from './open-connections.ts';
import { Recognizer } from './recognize.ts';

/** An admin key that is shorter can be guessed by who has time. */
const LONG_KEY_CHARACTERS = 24;

export interface Accounts {
  readonly gate: Gate;
  /** For the login page; undefined where everybody is let in. */
  readonly login: LoginDependencies | undefined;
  readonly keys: KeyStore;
  readonly policy: PolicyStore;
  readonly audit: AuditLog;
}

/** What `auth` of the configuration says: nothing is in the way in mode `open`, everything behind a gate else. */
export async function openAccounts(parts: RunningProcess): Promise<Accounts> {
  const { config, log, lifecycle, names, redis, subscriberConnection } = parts;
  const { auth, trustedProxies, api } = config;
  const addresses = createCallerAddresses(trustedProxies);
  const { mode, adminKey } = auth;
  const watch = new ChangeWatch({ redis, subscriberConnection, names, log });
  const keys = new KeyStore(redis, names, auth.auditMaxEntries);
  const policy = new PolicyStore({ redis, names, watch, config, log });
  const audit = new AuditLog(redis, names, auth.auditMaxEntries);
  lifecycle.onClose('policy', () => {
    policy.stop();
    watch.stop();
  });
  await parts.whileStarting(watch.start());
  await parts.whileStarting(policy.start());
  if (mode === 'open') {
    if (adminKey !== undefined || auth.jwt !== undefined) {
      log.warn(
        'auth.adminKey and auth.jwt are of no use: auth.mode is open, and lets everybody in',
      );
    }
    return { gate: createOpenGate(addresses), login: undefined, keys, policy, audit };
  }
  if (adminKey !== undefined && adminKey.length < LONG_KEY_CHARACTERS) {
    log.warn('auth.adminKey is short: one of 32 random characters or more cannot be guessed');
  }
  const authenticator = new Authenticator({ keys, watch, auth, log });
  const connections = new OpenConnections({ authenticator, watch, policy, log });
  lifecycle.onClose('connections of callers', () => {
    connections.stop();
  });
  return {
    ...{ keys, policy, audit },
    gate: createGate({
      recognizer: new Recognizer({ mode, addresses, authenticator, policy }),
      connections,
      matchProxied: createProxyMatcher(api.proxy),
      customRoles: api.proxy.roles,
      log,
    }),
    login: { authenticator, watch },
  };
}
