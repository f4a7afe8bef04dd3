-- The bytes that callers sent with all pending jobs: they have a limit. A record of an earlier version has no
-- `bytes`; with the last pending job everything is given back, however it was counted.

-- @include tenants
-- @keys pending_bytes pending

local function take_room(bytes)
  redis.call('INCRBY', pending_bytes_key, bytes or 0)
end

local function give_room_back(bytes)
  if count_all(pending_key) == 0 then redis.call('DEL', pending_bytes_key)
  else redis.call('DECRBY', pending_bytes_key, bytes or 0) end
end
