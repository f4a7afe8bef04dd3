-- Delivers once more by hand what was delivered or given up: under the same id, with all its tries before it again,
-- and out of the order of its job. One that waits for its next try is tried now.
--
-- ARGV[1] prefix
-- ARGV[2] tenant
-- ARGV[3] id           of the delivery
-- ARGV[4] limits_json
-- Returns 'waiting', 'full' (too many wait), 'gone' (its body was not kept), or 'unknown'
-- Sent again: 'waiting', without another change.
-- Caller dies: it is delivered.

-- @include now
-- @include chains
-- @include webhook-sizes
-- @include delivery-log
-- @keys webhook_delivery webhook_chain webhook_due

local owner, chain, state, body =
  unpack(redis.call('HMGET', webhook_delivery_key(id), 'tenant', 'chain', 'state', 'body'))
if owner ~= tenant then return 'unknown' end
if state == 'sending' then return 'waiting' end
local limits = cjson.decode(limits_json)
if state == 'waiting' then
  redis.call('HSET', webhook_delivery_key(id), 'due', now)
  if redis.call('ZREM', webhook_due_key, chain) == 1 then place_chain(limits, chain, 0) end
  return 'waiting'
end
if body == '' then return 'gone' end
if size_of('waiting ' .. tenant) >= limits.max_waiting then return 'full' end
unlist_settled(tenant, id)
local _, receiver = parts_of(chain)
-- A chain of its own: what its job still has to say does not wait for it.
local own = join_name(join_name(tenant, receiver), id)
redis.call('HSET', webhook_delivery_key(id), 'state', 'waiting', 'chain', own, 'since', now, 'tries', 0, 'due', now,
  'reason', '')
count_size('waiting', tenant, 1)
redis.call('RPUSH', webhook_chain_key(own), id)
place_chain(limits, own, 0)
return 'waiting'
