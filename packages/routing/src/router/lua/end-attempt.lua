-- Gives a slot back and wakes those that wait for it, with what the attempt said of its tier. The signal counts
-- once, with the lease; after the lease has run out it counts no more (another attempt will find out).
--
-- ARGV[1] prefix
-- ARGV[2] tier               its name
-- ARGV[3] lease
-- ARGV[4] signal             good | neutral | count | open
-- ARGV[5] took_ms            good: how long the attempt took
-- ARGV[6] open_ms            open: how long to pause
-- ARGV[7] reason             count, open
-- ARGV[8] failures           in a row that open the breaker
-- ARGV[9] first_pause_ms
-- ARGV[10] longest_pause_ms
-- ARGV[11] samples           recent times that are kept
-- ARGV[12] idle_ms           what nobody uses goes after this
-- Returns nothing
-- Sent again: nothing: the lease is gone.

-- @include now
-- @include tiers
-- @include slot-lines
-- @keys tier_running tier tier_ms

if redis.call('ZREM', tier_running_key(tier), lease) == 0 then return end
wake_line(tier_running_key(tier))
local key, times = tier_key(tier), tier_ms_key(tier)
local is_probe = redis.call('HGET', key, 'probe') == lease
if is_probe then redis.call('HDEL', key, 'probe') end
local open_until = tonumber(redis.call('HGET', key, 'open_until') or '0')
if signal == 'good' then
  redis.call('LPUSH', times, took_ms)
  redis.call('LTRIM', times, 0, samples - 1)
  redis.call('PEXPIRE', times, idle_ms)
  -- A success of an attempt that began before the breaker opened says nothing about now.
  if is_probe then
    redis.call('HDEL', key, 'failures', 'trips', 'open_until', 'reason')
  elseif open_until == 0 then
    redis.call('HDEL', key, 'failures')
  end
elseif signal == 'open' then
  if now + open_ms > open_until then
    redis.call('HSET', key, 'open_until', string.format('%.0f', now + open_ms), 'reason', reason)
    redis.call('HDEL', key, 'failures')
  end
elseif signal == 'count' and (is_probe or open_until == 0) then
  local counted = redis.call('HINCRBY', key, 'failures', 1)
  if is_probe or counted >= tonumber(failures) then
    local trips = redis.call('HINCRBY', key, 'trips', 1)
    local pause = math.min(first_pause_ms * 2 ^ math.min(trips - 1, 20), longest_pause_ms)
    redis.call('HSET', key, 'open_until', string.format('%.0f', now + pause), 'reason', reason)
    redis.call('HDEL', key, 'failures')
  end
end
redis.call('PEXPIRE', key, idle_ms)
