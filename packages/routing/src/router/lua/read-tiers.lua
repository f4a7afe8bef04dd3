-- The state of several tiers, at one moment.
--
-- ARGV[1] prefix
-- ARGV[2..] tiers  names
-- Returns for each: ms until its pause ends ('' when closed), probing (0|1), reason, running, waiting, recent ms
-- Sent again: it only reads.

-- @include now
-- @include tiers
-- @keys tier_running tier_waiting tier tier_ms

local found = {}
for _, tier in ipairs(tiers) do
  local running = count_live(tier_running_key(tier))
  local waiting = count_live(tier_waiting_key(tier))
  local open_until, reason = unpack(redis.call('HMGET', tier_key(tier), 'open_until', 'reason'))
  local open_for = open_until and string.format('%.0f', open_until - now) or ''
  found[#found + 1] = {
    open_for, is_probing(tier) and 1 or 0, reason or '', running, waiting,
    redis.call('LRANGE', tier_ms_key(tier), 0, -1),
  }
end
return found
