-- A count that the caller is told is remembered for a minute under the id of the call: sent again after a lost
-- reply, the script would find nothing left to count.

-- @keys reply

local function count_once(call, count)
  local known = redis.call('GET', reply_key(call))
  if known then return tonumber(known) end
  local counted = count()
  if counted > 0 then redis.call('SET', reply_key(call), counted, 'EX', 60) end
  return counted
end
