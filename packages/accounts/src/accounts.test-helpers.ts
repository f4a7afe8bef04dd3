import { RedisNames } from '@tiercel/contracts';
import { connectRedis, createLogger, loadConfig, type Config, type Redis } from '@tiercel/runtime';
import { onStopEverything, type TestRedis } from '@tiercel/testkit';
import { Authenticator } from './authenticator.ts';
import { ChangeWatch } from './change-watch.ts';
import { KeyStore } from './keys/key-store.ts';
import { PolicyStore } from './policy/policy-store.ts';

export const actor = { who: 'test', from: 'here' };
const log = createLogger({ level: 'silent', name: 'test' });

/** What one process has of accounts, on connections of its own. */
export interface Member {
  readonly redis: Redis;
  readonly subscriberConnection: Redis;
  readonly keys: KeyStore;
  readonly watch: ChangeWatch;
  readonly policy: PolicyStore;
  readonly authenticator: Authenticator;
}

export function testConfig(auth: Partial<Config['auth']> = {}): Config {
  const config = loadConfig({ TIERCEL_CONFIG: '/dev/null' });
  return { ...config, auth: { ...config.auth, mode: 'required', ...auth } };
}

export async function startMember(server: TestRedis, config = testConfig()): Promise<Member> {
  const names = new RedisNames('test');
  const redis = connectRedis(server.url, 'commands', log);
  const subscriberConnection = connectRedis(server.url, 'subscriber', log);
  await new Promise((resolve) => redis.once('ready', resolve));
  const keys = new KeyStore(redis, names, config.auth.auditMaxEntries);
  const watch = new ChangeWatch({ redis, subscriberConnection, names, log });
  const policy = new PolicyStore({ redis, names, watch, config, log });
  const authenticator = new Authenticator({ keys, watch, auth: config.auth, log });
  await watch.start();
  await policy.start();
  onStopEverything(() => {
    watch.stop();
    policy.stop();
    redis.disconnect();
    subscriberConnection.disconnect();
  });
  return { redis, subscriberConnection, keys, watch, policy, authenticator };
}
