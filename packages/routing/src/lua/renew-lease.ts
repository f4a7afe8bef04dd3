import { lua, LUA_NOW } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** Prolongs a lease; one that is gone is not brought back. */
export const renewLeaseScript = new RedisScript({
  name: 'renew-lease',
  keys: ['leases'],
  args: ['lease', 'lease_ms'],
  lua: lua`
-- KEYS[1] leases    by the time they run out, epoch ms by Redis' clock
-- ARGV[1] lease
-- ARGV[2] lease_ms
${LUA_NOW}
redis.call('ZADD', leases, 'XX', now + lease_ms, lease)
redis.call('PEXPIRE', leases, lease_ms * 4)
`,
  parse: () => undefined,
});
