import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** The leader has ended; a lease that is another's by now stays. */
export const releaseFlightScript = new RedisScript({
  name: 'release-flight',
  keys: ['flight'],
  args: ['token'],
  lua: lua`
-- KEYS[1] flight  the leader's lease
-- ARGV[1] token
if redis.call('GET', flight) == token then redis.call('DEL', flight) end
`,
  parse: () => undefined,
});
