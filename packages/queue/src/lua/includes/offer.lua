-- What may be taken, and in whose turn.

-- @include fair-share
-- @include kinds
-- @include limits
-- @keys ready

-- Returns 1 when it needs a permit of its own: a free hand could take a job of this tenant, and it is for all workers.
local function offer(tenant, m, number, kind)
  redis.call('ZADD', of_kind(ready_key(tenant), kind), number, m)
  local limits = limits_of(tenant)
  local is_startable = 1
  if limits then is_startable = settle(tenant, limits)
  else enter_unlimited(tenant) end
  if kind == '' then return is_startable end
  if is_startable == 1 then call_workers(kind) end
  return 0
end

-- Takes back an offer. Returns 1 when the job was ready.
local function take_back(tenant, m, kind)
  local was_ready = redis.call('ZREM', of_kind(ready_key(tenant), kind), m)
  if was_ready == 0 or has_ready(tenant, kind) then return was_ready end
  if not has_any_ready(tenant) then
    leave(tenant)
  else
    local limits = limits_of(tenant)
    if limits then settle(tenant, limits) else settle_unlimited(tenant) end
  end
  return was_ready
end
