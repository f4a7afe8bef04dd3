-- Says anew which workers waiting jobs are for: the workers there are have changed.
--
-- ARGV[1] prefix
-- ARGV[2] max_waiting  permits that may wait at once
-- ARGV[3] fleet        the workers that the jobs were judged for
-- ARGV[4..] verdicts   of each job: its id, its kind, what it needs ('' as it is), 1 when it forgets who declined it
-- Returns {permits to add, then as wake() tells} | {-1} when jobs are judged for other workers by now
-- Sent again: the kinds are the same by then; the sweeper adds a permit that is missing.
-- Caller dies: what is judged is judged; the next sweep goes on.

-- @include groups
-- @include kinds
-- @include wake
-- @keys job unreleased unjudged judging_for waiting_permits

if (redis.call('GET', judging_for_key) or '') ~= fleet then return { -1 } end

local function judge(id, text, needs, forgets)
  redis.call('SREM', unjudged_key, id)
  local state, m, tenant, group, number, rank, old, cancel = unpack(redis.call('HMGET', job_key(id),
    'state', 'm', 'tenant', 'lane', 'number', 'rank', 'kind', 'cancel'))
  -- An interrupted one that was put back is for all workers.
  if state ~= 'pending' or cancel == '1' then return 0 end
  if needs ~= '' then redis.call('HSET', job_key(id), 'needs', needs) end
  if forgets == '1' then redis.call('HDEL', job_key(id), 'declined') end
  if (old or '') == text then return 0 end
  local old_kind = quit_kind(m, old)
  local is_released = not redis.call('ZSCORE', unreleased_key, id)
  if is_released then withdraw(tenant, group, m, old_kind) end
  if text == '' then redis.call('HDEL', job_key(id), 'kind')
  else redis.call('HSET', job_key(id), 'kind', text) end
  local kind = join_kind(m, text)
  return is_released and make_available(tenant, group, m, rank or number, kind) or 0
end

local ready = 0
for i = 1, #verdicts, 4 do
  ready = ready + judge(verdicts[i], verdicts[i + 1], verdicts[i + 2], verdicts[i + 3])
end
return { math.max(0, math.min(ready, tonumber(max_waiting) - redis.call('LLEN', waiting_permits_key))), wake() }
