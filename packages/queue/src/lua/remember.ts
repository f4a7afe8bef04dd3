import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_CLAIMS } from './claims.ts';

/** Notes on the record where the work is done, so that the next attempt can go on with it. */
export const rememberScript = new RedisScript({
  name: 'remember',
  args: ['prefix', 'id', 'claim', 'note'],
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] id     of the job
-- ARGV[3] claim
-- ARGV[4] note
-- Returns 1, or 0 when the claim is void
${LUA_CLAIMS}
if not is_held(id, claim) then return 0 end
redis.call('HSET', job_key(id), 'note', note)
return 1
`,
  parse: (reply) => reply === 1,
});
