import { lua, LUA_EMIT, luaNames } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/**
 * Publishes a batch of events of a running job, for as long as the claim is valid: a worker that was taken for
 * dead tells nothing any more. Batches of a claim are numbered from 1, so that one is published once although
 * the connection may send it twice, and none before the one ahead of it.
 */
export const emitScript = new RedisScript({
  name: 'emit',
  args: ['prefix', 'id', 'claim', 'batch', 'waits', 'client', 'max_entries'],
  list: 'frames',
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] id           of the job
-- ARGV[3] claim
-- ARGV[4] batch        its number
-- ARGV[5] waits        1: not before the batch ahead of it
-- ARGV[6] client       'n' for none, else 'y' and the client_id
-- ARGV[7] max_entries  of the job's stream
-- ARGV[8..] frames     for each: JSON text, broadcast (0|1)
-- Returns 'done', 'void' (the claim), or 'early'
${LUA_EMIT}
${luaNames('job')}
local state, holder, last_batch = unpack(redis.call('HMGET', job_key(id), 'state', 'claim', 'batch'))
if state ~= 'running' or holder ~= claim then return 'void' end
local ahead = tonumber(batch) - tonumber(last_batch)
if ahead <= 0 then return 'done' end
if ahead > 1 and waits == '1' then return 'early' end

local kept = {}
for i = 1, #frames, 2 do kept[#kept + 1] = { frames[i], 1, tonumber(frames[i + 1]) } end
redis.call('HSET', job_key(id), 'batch', batch)
emit(id, 'E', client, max_entries, kept)
return 'done'
`,
  parse: (reply) => reply as 'done' | 'void' | 'early',
});
