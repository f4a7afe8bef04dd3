import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** Prolongs the lease of a leader that works on. */
export const renewFlightScript = new RedisScript({
  name: 'renew-flight',
  keys: ['flight'],
  args: ['token', 'lease_ms'],
  lua: lua`
-- KEYS[1] flight    the leader's lease
-- ARGV[1] token
-- ARGV[2] lease_ms
-- Returns 1, or 0 when the lease is another's
if redis.call('GET', flight) ~= token then return 0 end
return redis.call('PEXPIRE', flight, lease_ms)
`,
  parse: (reply) => reply === 1,
});
