import { lua, luaNames } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';

/** Sends a preview of a running job to whoever listens, for as long as the claim is valid. */
export const showPreviewScript = new RedisScript({
  name: 'show-preview',
  args: ['prefix', 'id', 'claim', 'client', 'message', 'keep_s'],
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] id       of the job
-- ARGV[3] claim
-- ARGV[4] client   'n' for none, else 'y' and the client_id
-- ARGV[5] message
-- ARGV[6] keep_s   how long it is kept for sockets that come back; 0: it is not
-- Returns 1, or 0 when the claim is void
${luaNames('job', 'preview', 'client_channel', 'everyone_channel')}
local state, holder = unpack(redis.call('HMGET', job_key(id), 'state', 'claim'))
if state ~= 'running' or holder ~= claim then return 0 end
if keep_s ~= '0' then redis.call('SET', preview_key(id), message, 'EX', keep_s) end
if client == 'n' then
  redis.call('PUBLISH', everyone_channel, message)
elseif client ~= 'y' then
  redis.call('PUBLISH', client_channel(string.sub(client, 2)), message)
end
return 1
`,
  parse: (reply) => reply === 1,
});
