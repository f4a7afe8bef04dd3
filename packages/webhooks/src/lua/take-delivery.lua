-- A turn gets a delivery: the one that it had before (its worker died), else the next of the tenant and the receiver
-- whose turn it is.
--
-- ARGV[1] prefix
-- ARGV[2] turn
-- ARGV[3] claim        id for this taking: a later one voids it
-- ARGV[4] limits_json
-- ARGV[5..] classes    of receivers that it may be for, the preferred first
-- Returns {id, class, now, tenant, job, event, webhook, hook, body, since, tries, attempts}, or nil
-- Sent again: the same delivery: it is written on the turn.
-- Caller dies: BullMQ gives the turn to another, which gets the same delivery.

-- @include now
-- @include chains
-- @keys webhook_turns webhook_chain webhook_delivery webhook_ready webhook_receivers webhook_tenants webhook_paced

local function answer(id, class)
  redis.call('HSET', webhook_turns_key, turn, cjson.encode({ claim, id, class, now }))
  return { id, class, string.format('%.0f', now), unpack(redis.call('HMGET', webhook_delivery_key(id), 'tenant', 'job',
    'event', 'webhook', 'hook', 'body', 'since', 'tries', 'attempts')) }
end

local held = redis.call('HGET', webhook_turns_key, turn)
if held then
  local given = cjson.decode(held)
  if redis.call('HGET', webhook_delivery_key(given[2]), 'state') == 'sending' then
    return answer(given[2], given[3])
  end
  redis.call('HDEL', webhook_turns_key, turn)
end

local limits = cjson.decode(limits_json)
promote_due(limits)
-- The next delivery of a tenant, which goes to the end of both rounds; nil when there was none after all.
local function take_of(class, tenant)
  local round = webhook_receivers_key(join_name(class, tenant))
  local receiver = redis.call('ZRANGE', round, 0, 0)[1]
  redis.call('ZREM', webhook_tenants_key(class), tenant)
  if not receiver then return nil end
  redis.call('ZREM', round, receiver)
  local chain = redis.call('LPOP', webhook_ready_key(join_name(tenant, receiver)))
  local id = chain and redis.call('LINDEX', webhook_chain_key(chain), 0)
  if id then
    change_busy(tenant, receiver, class, 1)
    redis.call('HSET', webhook_delivery_key(id), 'state', 'sending')
    if redis.call('HGET', webhook_delivery_key(id), 'event') == 'progress' then
      redis.call('SET', webhook_paced_key(chain), 1, 'PX', limits.progress_ms)
    end
  end
  offer_receiver(limits, tenant, receiver)
  return id
end
for _, class in ipairs(classes) do
  local tenant = redis.call('ZRANGE', webhook_tenants_key(class), 0, 0)[1]
  while tenant do
    local id = take_of(class, tenant)
    if id then return answer(id, class) end
    tenant = redis.call('ZRANGE', webhook_tenants_key(class), 0, 0)[1]
  end
end
return nil
