import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_COUNT_ONCE, LUA_REMOVE_PENDING, LUA_STOP_RUNNING } from './parts.ts';

/** Cancels jobs wherever they are: pending ones go, running ones are interrupted. Replies how many. */
export const cancelScript = new RedisScript({
  name: 'cancel',
  args: ['prefix', 'call'],
  list: 'ids',
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] call     id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids    of jobs
-- Returns the count
${LUA_REMOVE_PENDING}
${LUA_STOP_RUNNING}
${LUA_COUNT_ONCE}
return count_once(call, function()
  local removed, stopped = 0, 0
  for _, id in ipairs(ids) do
    local was_running = stop_running(id)
    stopped = stopped + was_running
    if was_running == 0 then removed = removed + remove_pending(id) end
  end
  if removed > 0 then tell_status() end
  return removed + stopped
end)
`,
  parse: Number,
});
