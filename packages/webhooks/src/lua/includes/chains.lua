-- Who may be taken next. Words (docs/adr/0022):
--
-- - A chain is what is to be delivered of one job to one receiver, in its order: a list of delivery ids whose first is
--   delivered next. Its name is `<tenant> <receiver> <job>`, with the character 31 in place of the blanks. While its
--   list is not empty it is in exactly one place: ready, due later, or in flight.
-- - A receiver is a webhook of the tenant (`e:<id>`), or the host of a job's own (`u:<hash>`).
--
-- Turns go round between tenants and, within a tenant, round between receivers: each is in a sorted set by its last
-- turn, and only while something of it may be taken. Receivers are of the class `good` when their last delivery was
-- accepted, `bad` when it failed, and `new` when there was none lately: who takes turns keeps room for the good and
-- the new ones, and a tenant has few deliveries to others than good ones.
--
-- limits: { per_tenant, per_receiver, per_class }: per_class of a tenant, for each class but good

-- @include now
-- @keys webhook_chain webhook_delivery webhook_ready webhook_receivers webhook_tenants webhook_due webhook_busy
-- @keys webhook_health webhook_paced webhook_count

local CLASSES = { 'good', 'new', 'bad' }

local function join_name(a, b) return a .. '\31' .. b end

-- Tenant and receiver of a chain.
local function parts_of(chain) return string.match(chain, '^([^\31]*)\31([^\31]*)') end

local function busy_of(field) return tonumber(redis.call('HGET', webhook_busy_key, field) or 0) end

-- One more or less in flight: of a tenant, in all and to receivers of a class, and of its receiver.
local function change_busy(tenant, receiver, class, by)
  for _, field in ipairs({ 't' .. tenant, class .. ' ' .. tenant, 'r' .. join_name(tenant, receiver) }) do
    if redis.call('HINCRBY', webhook_busy_key, field, by) <= 0 then redis.call('HDEL', webhook_busy_key, field) end
  end
end

-- At the end of a round, or out of it.
local function enter_round(round, member, may)
  if not may then redis.call('ZREM', round, member)
  elseif not redis.call('ZSCORE', round, member) then
    redis.call('ZADD', round, redis.call('INCR', webhook_count_key), member)
  end
end

-- Puts a tenant and its receiver into the rounds if something of them may be taken, else takes them out.
local function offer_receiver(limits, tenant, receiver)
  local full = join_name(tenant, receiver)
  local own_class = redis.call('GET', webhook_health_key(full)) or 'new'
  local most = own_class == 'good' and limits.per_receiver or 1
  local may = redis.call('LLEN', webhook_ready_key(full)) > 0 and busy_of('r' .. full) < most
  for _, class in ipairs(CLASSES) do
    local round = webhook_receivers_key(join_name(class, tenant))
    enter_round(round, receiver, may and class == own_class)
    local has_room = busy_of('t' .. tenant) < limits.per_tenant and
      (class == 'good' or busy_of(class .. ' ' .. tenant) < limits.per_class)
    enter_round(webhook_tenants_key(class), tenant, has_room and redis.call('ZCARD', round) > 0)
  end
end

-- Puts a chain where it belongs: ready, or due at a time. Progress waits until its pause is over.
local function place_chain(limits, chain, due_at)
  local head = redis.call('LINDEX', webhook_chain_key(chain), 0)
  if not head then return end
  if redis.call('HGET', webhook_delivery_key(head), 'event') == 'progress' then
    due_at = math.max(due_at, now + redis.call('PTTL', webhook_paced_key(chain)))
  end
  if due_at > now then
    redis.call('ZADD', webhook_due_key, due_at, chain)
    return
  end
  local tenant, receiver = parts_of(chain)
  redis.call('RPUSH', webhook_ready_key(join_name(tenant, receiver)), chain)
  offer_receiver(limits, tenant, receiver)
end

-- What has become due by time is ready.
local function promote_due(limits)
  for _, chain in ipairs(redis.call('ZRANGE', webhook_due_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
    redis.call('ZREM', webhook_due_key, chain)
    place_chain(limits, chain, 0)
  end
end
