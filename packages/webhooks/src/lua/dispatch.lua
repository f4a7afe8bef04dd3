-- Makes the deliveries of one entry of the outbox, and takes the entry away: in one step, so that each is made once,
-- and only for the holder of the lease, so that those of a job are made in their order.
--
-- ARGV[1] prefix
-- ARGV[2] lease          token of who asks
-- ARGV[3] lease_ms       renewed for so long
-- ARGV[4] entry          of the outbox
-- ARGV[5] tenant
-- ARGV[6] job
-- ARGV[7] event          of WEBHOOK_EVENTS
-- ARGV[8] body           of the deliveries
-- ARGV[9] limits_json
-- ARGV[10..] receivers   for each: delivery id, receiver, webhook ('' for the job's own), that one sealed
-- Returns {deliveries that wait now, dead at once, dropped}; nil without the lease
-- Sent again: {0, 0, 0}: the entry is gone.
-- Caller dies: chains are ready without a turn; the next holder of the lease adds turns.

-- @include now
-- @include chains
-- @include webhook-sizes
-- @include delivery-log
-- @keys webhook_outbox webhook_lease webhook_chain webhook_delivery webhook_due webhook_ready webhook_log

if redis.call('GET', webhook_lease_key) ~= lease then return nil end
redis.call('PEXPIRE', webhook_lease_key, lease_ms)
if redis.call('XDEL', webhook_outbox_key, entry) == 0 then return { 0, 0, 0 } end
local limits = cjson.decode(limits_json)
local waiting, dead, dropped = 0, 0, 0

-- Progress that waits gives way to what comes after it.
local function drop_progress(chain, receiver)
  local last = redis.call('LINDEX', webhook_chain_key(chain), -1)
  if not last then return end
  local kind, state = unpack(redis.call('HMGET', webhook_delivery_key(last), 'event', 'state'))
  if kind ~= 'progress' or state ~= 'waiting' then return end
  redis.call('RPOP', webhook_chain_key(chain))
  count_size('waiting', tenant, -1)
  forget_delivery(tenant, last)
  dropped = dropped + 1
  if redis.call('EXISTS', webhook_chain_key(chain)) == 1 then return end
  redis.call('ZREM', webhook_due_key, chain)
  redis.call('LREM', webhook_ready_key(join_name(tenant, receiver)), 0, chain)
end

local function add_waiting(id, chain)
  count_size('waiting', tenant, 1)
  if redis.call('RPUSH', webhook_chain_key(chain), id) == 1 then place_chain(limits, chain, 0) end
end

for i = 1, #receivers, 4 do
  local id, receiver, webhook, hook = receivers[i], receivers[i + 1], receivers[i + 2], receivers[i + 3]
  local chain = join_name(join_name(tenant, receiver), job)
  drop_progress(chain, receiver)
  -- With what the fields of its record and its places in the lists take.
  local bytes = #body + #hook + 500
  trim_log(tenant, limits, bytes)
  local is_full = size_of('waiting ' .. tenant) >= limits.max_waiting
  local is_heavy = size_of('bytes ' .. tenant) + bytes > limits.log_bytes or
    size_of('bytes') + bytes > limits.total_bytes
  local is_dead = is_full or is_heavy
  if is_dead and event == 'progress' then
    dropped = dropped + 1
  else
    if is_heavy then bytes = bytes - #body end
    redis.call('HSET', webhook_delivery_key(id), 'tenant', tenant, 'chain', chain, 'job', job, 'event', event,
      'webhook', webhook, 'hook', hook, 'body', is_heavy and '' or body, 'bytes', bytes, 'created', now, 'since', now,
      'state', is_dead and 'dead' or 'waiting', 'tries', 0, 'due', now, 'attempts', '[]',
      'reason', is_dead and 'backlog_full' or '')
    redis.call('ZADD', webhook_log_key(tenant), now, id)
    count_size('bytes', tenant, bytes)
    if is_dead then
      list_settled(tenant, id, true)
      dead = dead + 1
    else
      add_waiting(id, chain)
      waiting = waiting + 1
    end
  end
end
return { waiting, dead, dropped }
