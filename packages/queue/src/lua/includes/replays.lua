-- What a POST with an Idempotency-Key was answered: kept for a day, whatever becomes of the job.

-- @keys replay

local REPLAY_KEPT_MS = 86400000

-- Returns nil when the key is new, else what the script replies.
local function find_replay(key, body_hash)
  local known = key ~= '' and redis.call('GET', replay_key(key))
  if not known then return nil end
  local answer = cjson.decode(known)
  if answer.hash ~= body_hash then return { 'reused' } end
  return { 'replay', answer.number, answer.node_errors, answer.id }
end

local function keep_replay(key, body_hash, id, number, node_errors)
  if key == '' then return end
  local answer = { hash = body_hash, id = id, number = number, node_errors = node_errors }
  redis.call('SET', replay_key(key), cjson.encode(answer), 'PX', REPLAY_KEPT_MS)
end
