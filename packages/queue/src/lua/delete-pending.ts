import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_COUNT_ONCE, LUA_REMOVE_PENDING } from './parts.ts';

/** Removes pending jobs by id. Replies how many. */
export const deletePendingScript = new RedisScript({
  name: 'delete-pending',
  args: ['prefix', 'call'],
  list: 'ids',
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] call     id of this call: sent again, it is answered as the first time
-- ARGV[3..] ids    of jobs
-- Returns the count
${LUA_REMOVE_PENDING}
${LUA_COUNT_ONCE}
return count_once(call, function()
  local removed = 0
  for _, id in ipairs(ids) do removed = removed + remove_pending(id) end
  if removed > 0 then tell_status() end
  return removed
end)
`,
  parse: Number,
});
