import { lua, LUA_NOW } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_TAKE } from './take-job.ts';

/** A permit was delivered: the job it had before (its worker died), else the next one whose turn it is. */
export const takeScript = new RedisScript({
  name: 'take',
  args: ['prefix', 'permit', 'worker', 'claim'],
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] permit
-- ARGV[3] worker
-- ARGV[4] claim   id for the claim that is to be: sent again, the script finds it on the record
-- Returns the job as in LUA_TAKE, or nil
${LUA_NOW}
${LUA_TAKE}
local given = redis.call('HGET', permits_key, permit)
if given then
  local job = take_again(permit, worker, claim, given)
  if job then return job end
end
return take_next(permit, worker, claim)
`,
  parse: (reply) => reply,
});
