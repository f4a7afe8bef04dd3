-- A process says how overloaded it is, to administrators and to workers. What others have said that said nothing for
-- long goes with it: they have died.
--
-- ARGV[1] prefix
-- ARGV[2] process  its name
-- ARGV[3] text     what it says, JSON; '' that it is overloaded no more
-- ARGV[4] order    for all workers, JSON; '' for none
-- ARGV[5] kept_ms  a word is kept so long
-- Returns nothing
-- Sent again: it says the same once more.
-- Caller dies: nobody believes its word after kept_ms, and the key goes when nobody else is overloaded.

-- @include now
-- @keys overload control_channel

local words = redis.call('HGETALL', overload_key)
for i = 1, #words, 2 do
  local said_at = tonumber(string.match(words[i + 1], '^%d+')) or 0
  if said_at < now - kept_ms then redis.call('HDEL', overload_key, words[i]) end
end
if text == '' then
  redis.call('HDEL', overload_key, process)
else
  redis.call('HSET', overload_key, process, string.format('%.0f ', now) .. text)
  redis.call('PEXPIRE', overload_key, kept_ms)
end
if order ~= '' then redis.call('PUBLISH', control_channel, order) end
