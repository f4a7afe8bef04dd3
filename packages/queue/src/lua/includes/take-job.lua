-- take_next(permit, worker, claim, profile) gives a permit the first ready job of the tenant whose turn it is;
-- take_again(permit, worker, claim, id) gives it the job that it had already, one attempt later unless
-- this very claim has it. taken_by(claim, id) is the job of a claim; nil when it is void. All answer nil or
-- {id, prompt, extra, targets, client, number, tenant, created, attempt, cancel, secrets, note, taken, ...}.
-- Taking changes no count, so no `status` is emitted.

-- @include now
-- @include members
-- @include tenants
-- @include pending-bytes
-- @include charge
-- @include pop-next
-- @include kinds
-- @include fair-share
-- @include groups
-- @include urgent
-- @keys job running tenants pending created permits

local taken_by, take_again, take_next
do
  local function read(id)
    return redis.call('HMGET', job_key(id), 'id', 'prompt', 'extra', 'targets', 'client', 'number', 'tenant',
      'created', 'attempt', 'cancel', 'secrets', 'note', 'taken', 'state', 'permit', 'claim', 'lane', 'bytes',
      'handed_back', 'signature', 'estimate_ms')
  end
  local ATTEMPT, TAKEN, STATE, PERMIT, CLAIM, GROUP, BYTES, CREATED = 9, 13, 14, 15, 16, 17, 18, 8
  local SIGNATURE, ESTIMATE = 20, 21

  function taken_by(claim, id)
    local job = read(id)
    return job[STATE] == 'running' and job[CLAIM] == claim and job or nil
  end

  local function give(permit, worker, claim, id, job)
    job[ATTEMPT] = job[ATTEMPT] + 1
    job[TAKEN] = now
    redis.call('HSET', job_key(id), 'state', 'running', 'permit', permit, 'claim', claim, 'worker', worker,
      'attempt', job[ATTEMPT], 'taken', now, 'batch', 0)
    add_to(running_key, tenant_of(id), now, id)
    return job
  end

  function take_again(permit, worker, claim, id)
    local job = read(id)
    if job[STATE] ~= 'running' or job[PERMIT] ~= permit then return nil end
    if job[CLAIM] == claim then return job end
    -- Nobody makes room any more: its worker died before it could hand it back.
    redis.call('HDEL', job_key(id), 'preempted_by')
    return give(permit, worker, claim, id, job)
  end

  -- Starts the first job of a tenant whose turn it is; nil when there was nothing to run.
  local function start(tenant, tag, limits, other, visible, permit, worker, claim)
    local m, kind = pop_next(tenant, limits, visible)
    local id = m and id_of(m)
    local job = id and read(id)
    -- Without a record (somebody deleted it by hand) there is nothing to run.
    local runs = job and job[CREATED]
    if runs then occupy_group(tenant, job[GROUP], m, kind, id) end
    if runs and limits then
      charge(tenant, limits, tag, id, expected_cost(job[SIGNATURE], job[ESTIMATE]))
    elseif runs and other then
      local cost = expected_cost(job[SIGNATURE], job[ESTIMATE])
      advance(cost)
      for _, of in ipairs(EVERY_KIND) do
        if #EVERY_KIND == 1 or redis.call('ZSCORE', of_kind(tenants_key, of), tenant) then
          redis.call('ZINCRBY', of_kind(tenants_key, of), cost, tenant)
        end
      end
    end
    if m then
      remove_from(pending_key, tenant, m)
      give_room_back(job[BYTES])
      remove_from(created_key('pending'), tenant, m)
      if kind ~= '' then quit_kind(m, kind_texts[kind]) end
    end
    if runs then
      add_to(created_key('running'), tenant, job[CREATED], m)
      redis.call('HSET', permits_key, permit, id)
      job = give(permit, worker, claim, id, job)
    end
    -- By what runs now.
    if limits then settle(tenant, limits) else settle_unlimited(tenant) end
    if runs then return job end
  end

  -- The job whose turn it is among the kinds of one rank.
  local function take_of(visible, with_spare, permit, worker, claim)
    while true do
      local tenant, tag, limits, other = next_turn(visible, with_spare)
      if not tenant then return nil end
      local job = start(tenant, tag, limits, other, visible, permit, worker, claim)
      if job then return job end
    end
  end

  local function take_urgent(lists, permit, worker, claim)
    while true do
      local tenant, tag, limits, kind = next_urgent(lists)
      if not tenant then return nil end
      local job = start(tenant, tag, limits, true, { kind }, permit, worker, claim)
      if job then return job end
    end
  end

  -- Of the kinds that workers of this profile can run: those that they prefer first. Limits yield to nobody's wish.
  function take_next(permit, worker, claim, profile)
    local lists = visible_kinds(profile)
    local urgent = not is_simple and take_urgent(lists, permit, worker, claim)
    if urgent then return urgent end
    for _, visible in ipairs(lists) do
      local job = take_of(visible, #lists == 1, permit, worker, claim)
      if job then return job end
    end
    if #lists == 1 then return nil end
    for _, visible in ipairs(lists) do
      local job = take_of(visible, true, permit, worker, claim)
      if job then return job end
    end
  end
end
