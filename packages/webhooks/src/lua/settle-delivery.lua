-- Writes down how a try ended, and makes room for the next one.
--
-- ARGV[1] prefix
-- ARGV[2] turn
-- ARGV[3] claim
-- ARGV[4] outcome      delivered | retry | dead | dropped
-- ARGV[5] health       of the receiver: good | bad, or '' when it was not asked
-- ARGV[6] pause_ms     before the next try
-- ARGV[7] reason       of an outcome that is not delivered
-- ARGV[8] attempts     the last tries, JSON; '' as it was
-- ARGV[9] limits_json
-- Returns 1, or 0 when somebody else has taken the delivery
-- Sent again: 0, without another change: the turn has no delivery any more. Nobody goes by the reply.
-- Caller dies: the turn comes back, and takes another delivery or ends.

-- @include now
-- @include chains
-- @include webhook-sizes
-- @include delivery-log
-- @keys webhook_turns webhook_delivery webhook_chain webhook_health

-- How long it is known of a receiver what became of its last delivery.
local HEALTH_SECONDS = 86400

local held = redis.call('HGET', webhook_turns_key, turn)
local given = held and cjson.decode(held)
if not given or given[1] ~= claim then return 0 end
redis.call('HDEL', webhook_turns_key, turn)
local id = given[2]
local tenant, chain, state = unpack(redis.call('HMGET', webhook_delivery_key(id), 'tenant', 'chain', 'state'))
if state ~= 'sending' then return 0 end
local limits = cjson.decode(limits_json)
local _, receiver = parts_of(chain)
change_busy(tenant, receiver, given[3], -1)
if health ~= '' then
  redis.call('SET', webhook_health_key(join_name(tenant, receiver)), health, 'EX', HEALTH_SECONDS)
end
if attempts ~= '' then
  redis.call('HSET', webhook_delivery_key(id), 'attempts', attempts)
  redis.call('HINCRBY', webhook_delivery_key(id), 'tries', 1)
end
local due_at = 0
if outcome == 'retry' then
  due_at = now + tonumber(pause_ms)
  redis.call('HSET', webhook_delivery_key(id), 'state', 'waiting', 'reason', reason, 'due', due_at)
else
  redis.call('LPOP', webhook_chain_key(chain))
  count_size('waiting', tenant, -1)
  if outcome == 'dropped' then
    forget_delivery(tenant, id)
  else
    redis.call('HSET', webhook_delivery_key(id), 'state', outcome, 'reason', reason, 'settled', now)
    list_settled(tenant, id, outcome == 'dead')
  end
end
place_chain(limits, chain, due_at)
offer_receiver(limits, tenant, receiver)
trim_log(tenant, limits, 0)
return 1
