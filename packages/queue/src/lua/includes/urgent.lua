-- Tenants for which a running job has made room, each with the kind of job that it was made for: those go before all
-- others, once (docs/adr/0028).

-- @include kinds
-- @include fair-share
-- @include limits
-- @keys urgent

-- More than these are not looked at in one step.
local MOST_URGENT = 64
local make_urgent, next_urgent, is_urgent
do
  local function split_entry(entry)
    local tenant, kind = string.match(entry, '^([^\n]*)\n?(.*)$')
    return tenant, kind
  end

  local function may_start(tenant, kind, limits)
    return limits and standing(tenant) and has_ready(tenant, kind) and held_until(tenant, limits) == 0
  end

  -- entry: of_kind(tenant, kind).
  function make_urgent(entry)
    redis.call('SADD', urgent_key, entry)
    local _, kind = split_entry(entry)
    -- Nobody was idle: whoever has a free hand now looks for it.
    if kind_texts[kind] then call_workers(kind) end
  end

  -- Of those that a worker with these lists of kinds can serve. Returns tenant, tag, limits, kind; nil for none.
  function next_urgent(lists)
    local visible = {}
    for _, list in ipairs(lists) do
      for _, kind in ipairs(list) do visible[kind] = true end
    end
    for _, entry in ipairs(redis.call('SRANDMEMBER', urgent_key, MOST_URGENT)) do
      local tenant, kind = split_entry(entry)
      local limits = limits_of(tenant)
      local can_start = may_start(tenant, kind, limits)
      if visible[kind] or not can_start then redis.call('SREM', urgent_key, entry) end
      if visible[kind] and can_start then
        local score, is_comer = standing(tenant)
        return tenant, is_comer and virtual_time() or tonumber(score), limits, kind
      end
    end
  end

  function is_urgent(tenant)
    for _, entry in ipairs(redis.call('SRANDMEMBER', urgent_key, MOST_URGENT)) do
      local who, kind = split_entry(entry)
      if who == tenant and may_start(who, kind, limits_of(who)) then return true end
    end
    return false
  end
end
