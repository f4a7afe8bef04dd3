-- Fields of records, of as many as fit: a listing may hold thousands, or a few of 100 MB each.
--
-- ARGV[1] prefix
-- ARGV[2] max_bytes     of all values; one record is read however large it is
-- ARGV[3] fields_count
-- ARGV[4..] names       the fields, then the ids of the jobs
-- Returns {how many ids were read, value of each field of each of them...}
-- Sent again: it only reads.

-- @keys job

local count = tonumber(fields_count)
local fields = { unpack(names, 1, count) }
local reply, bytes = { 0 }, 0
for i = count + 1, #names do
  local values = redis.call('HMGET', job_key(names[i]), unpack(fields))
  for _, value in ipairs(values) do
    if value then bytes = bytes + #value end
  end
  if bytes > tonumber(max_bytes) and reply[1] > 0 then return reply end
  for _, value in ipairs(values) do reply[#reply + 1] = value end
  reply[1] = reply[1] + 1
end
return reply
