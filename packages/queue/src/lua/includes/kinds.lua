-- Which workers a waiting job is for: its kind (docs/adr/0025). '' is for every worker, and usually the only one. Any
-- other kind names the profiles of the workers that can run it, each with a rank: `;<profile>=<rank>;...;`, and `;`
-- for nobody. A worker takes the jobs of a lower rank first.
--
-- What is kept for each kind, of `''` under the plain name: the ready jobs of a tenant, the waiting jobs of a group,
-- and the sets of tenants that have something ready. A tenant's account and limits are one for all kinds.

-- @keys kinds kind_jobs ready_channel

local EVERY_KIND = { '' }
-- Texts of the kinds that have jobs, by their short names.
local kind_texts = {}
local load_kinds, kind_named, join_kind, quit_kind, rank_for, visible_kinds, call_workers
-- What is kept for each kind, by its name for all workers: names of tenants and groups have no line break.
local function of_kind(key, kind) return kind == '' and key or key .. '\n' .. kind end

do
  local function add_kind(name, text)
    if kind_texts[name] then return end
    kind_texts[name] = text
    EVERY_KIND[#EVERY_KIND + 1] = name
  end
  -- Before anything else is asked of kinds; a script that only adds a job to one need not.
  function load_kinds()
    local known = redis.call('HGETALL', kinds_key)
    for i = 1, #known, 2 do add_kind(known[i], known[i + 1]) end
  end

  function kind_named(text)
    if not text or text == '' then return '' end
    local name = string.sub(redis.sha1hex(text), 1, 12)
    add_kind(name, text)
    return name
  end

  -- A job of a kind has come, or has gone: the kind is kept for as long as it has jobs.
  function join_kind(m, text)
    local kind = kind_named(text)
    if kind == '' then return kind end
    redis.call('HSET', kinds_key, kind, text)
    redis.call('SADD', kind_jobs_key(kind), m)
    return kind
  end

  function quit_kind(m, text)
    local kind = kind_named(text)
    if kind == '' then return kind end
    redis.call('SREM', kind_jobs_key(kind), m)
    if redis.call('EXISTS', kind_jobs_key(kind)) == 0 then redis.call('HDEL', kinds_key, kind) end
    return kind
  end

  -- Of a worker's profile; nil when its workers cannot run the kind.
  function rank_for(profile, text)
    if not text or text == '' then return 0 end
    return tonumber(string.match(text, ';' .. profile .. '=(%d+);'))
  end

  -- The kinds that a worker may take, as lists: those of the lowest rank first.
  function visible_kinds(profile)
    if #EVERY_KIND == 1 then return { EVERY_KIND } end
    local by_rank, ranks = {}, {}
    for _, kind in ipairs(EVERY_KIND) do
      local rank = kind == '' and 0 or profile ~= '' and rank_for(profile, kind_texts[kind])
      if rank then
        if not by_rank[rank] then
          by_rank[rank] = {}
          ranks[#ranks + 1] = rank
        end
        table.insert(by_rank[rank], kind)
      end
    end
    table.sort(ranks)
    local lists = {}
    for i, rank in ipairs(ranks) do lists[i] = by_rank[rank] end
    return lists
  end

  -- Calls the workers that can run a kind: permits are delivered to any worker, so for such jobs none is added.
  local called = {}
  function call_workers(kind)
    if called[kind] then return end
    called[kind] = true
    redis.call('PUBLISH', ready_channel, kind_texts[kind])
  end
end
