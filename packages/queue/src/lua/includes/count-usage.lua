-- Counts an ended job, in the step that ends it (docs/adr/0026): for its tenant and for all together, by day and tier.
--
-- Hashes `usage:<date>:<tenant>` and `usage-total:<date>`, fields `<tier>:<counter>`: jobs by outcome (success, error,
-- interrupted), run_ms, images, pixels, cost (millionths). Tier '' is for jobs that no tier was tried for.

-- @include now
-- @include dates
-- @include spent
-- @keys usage usage_total usage_tenants usage_ran usage_cost

local count_usage
do
  local COUNTERS = { 'run_ms', 'images', 'pixels', 'cost' }

  local function whole(amount) return string.format('%.0f', amount) end

  local function note_spent(key, amount, gone_at)
    redis.call('INCRBY', key, whole(amount))
    redis.call('PEXPIREAT', key, whole(gone_at))
  end

  -- text: JSON {tier, kept_days, uses: [{tier, run_ms, images, pixels, cost}]}; '' counts nothing.
  function count_usage(tenant, outcome, text)
    if text == '' then return end
    local job = cjson.decode(text)
    local date = date_of(now)
    local theirs, total = usage_key(date .. ':' .. tenant), usage_total_key(date)
    local function add(field, amount)
      if amount == 0 then return end
      redis.call('HINCRBY', theirs, field, whole(amount))
      redis.call('HINCRBY', total, field, whole(amount))
    end
    local ran, cost = 0, 0
    add(job.tier .. ':' .. outcome, 1)
    for _, use in ipairs(job.uses) do
      for _, counter in ipairs(COUNTERS) do add(use.tier .. ':' .. counter, use[counter]) end
      ran, cost = ran + use.run_ms, cost + use.cost
    end
    local is_first = redis.call('ZADD', usage_tenants_key(date), 0, tenant) == 1
    redis.call('ZINCRBY', usage_ran_key(date), whole(ran), tenant)
    redis.call('ZINCRBY', usage_cost_key(date), whole(cost), tenant)
    if is_first then
      local gone_at = whole(day_end() + job.kept_days * DAY_MS)
      local written = { theirs, total, usage_tenants_key(date), usage_ran_key(date), usage_cost_key(date) }
      for _, key in ipairs(written) do redis.call('PEXPIREAT', key, gone_at) end
    end
    if cost == 0 then return end
    note_spent(day_of_tenant(tenant), cost, day_end() + DAY_MS)
    note_spent(month_of_tenant(tenant), cost, month_end() + DAY_MS)
  end
end
