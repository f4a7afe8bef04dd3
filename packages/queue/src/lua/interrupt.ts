import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_COUNT_ONCE, LUA_STATUS, LUA_STOP_RUNNING } from './parts.ts';

/** Asks the workers to stop running jobs: marks each and rings the bell. Replies how many were running. */
export const interruptScript = new RedisScript({
  name: 'interrupt',
  args: ['prefix', 'call'],
  list: 'ids',
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] call     id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids    of jobs; none: all that run
-- Returns the count
${LUA_STATUS}
${LUA_STOP_RUNNING}
${LUA_COUNT_ONCE}
return count_once(call, function()
  local wanted = #ids > 0 and ids or redis.call('ZRANGE', running_key, 0, -1)
  local stopped = 0
  for _, id in ipairs(wanted) do stopped = stopped + stop_running(id) end
  return stopped
end)
`,
  parse: Number,
});
