-- Accepts a prompt: writes the record and puts it among the pending, in one step.
--
-- ARGV[1] prefix
-- ARGV[2] call          id of this call: sent again, it is answered as the first time
-- ARGV[3] id            of the job, scoped
-- ARGV[4] body_hash     of the request: the same id with another body is refused
-- ARGV[5] given_number  '' to count
-- ARGV[6] front         0|1
-- ARGV[7] tenant
-- ARGV[8] client        'n' for none, else 'y' and the client_id, scoped
-- ARGV[9] serial        1: the client has one running job at a time
-- ARGV[10] max_pending
-- ARGV[11] max_bytes    of all pending jobs together
-- ARGV[12] workflow     '' for none
-- ARGV[13] prompt       JSON
-- ARGV[14] extra        JSON: extra_data without secrets
-- ARGV[15] targets      JSON: ids of the output nodes
-- ARGV[16] node_errors  JSON
-- ARGV[17] secrets      sealed, '' for none
-- ARGV[18] limits       JSON: fields of the tenant's record; '' for none
-- ARGV[19] signature    jobs with the same one cost the same; '' for none
-- ARGV[20] estimate_ms  of its run time, for when none has run; '' for none
-- ARGV[21] priority     low | normal | high: before all of the tenant that have a lower one
-- ARGV[22] hook         its webhook, sealed, '' for none
-- ARGV[23] hook_events  what that is told, '' for none; see note-webhook
-- ARGV[24] replay       of the caller's Idempotency-Key; '' for none
-- ARGV[25] most_pending  jobs of the tenant; '' for no limit
-- ARGV[26] most_a_day    jobs of the tenant that are accepted in a day (UTC); '' for no limit
-- ARGV[27] least_cost    of it, wherever it runs, in millionths; '' when it may be free
-- ARGV[28] day_budget    in millionths; '' for none
-- ARGV[29] month_budget  likewise
-- ARGV[30] kind         which workers it is for (see kinds); '' for all
-- ARGV[31] needs        what that was judged by, JSON, '' when nobody asked
-- ARGV[32] fleet        the workers that it was judged for, '' when they are all alike
-- Returns {'ok', number} | {'same', number, node_errors} | {'conflict'} | {'replay', number, node_errors, id}
--       | {'reused'} | {'full' | 'heavy' | 'over', jobs or bytes, as service_rate()} | {'spent', jobs, ms of the day}
--       | {'poor', spent millionths, ms until the next period, day | month}
-- Sent again: {'ok', number}: the record has the id of the call.
-- Caller dies: the sweeper releases the job.

-- @include now
-- @include tenants
-- @include queue-status
-- @include pending-bytes
-- @include priorities
-- @include tenant-record
-- @include admission
-- @include replays
-- @include kinds
-- @keys job pending pending_bytes number seq unreleased created workflow judging_for unjudged

local known_call, known_hash, known_number, known_errors =
  unpack(redis.call('HMGET', job_key(id), 'accepted_by', 'hash', 'number', 'node_errors'))
if known_hash then
  if known_call == call then return { 'ok', known_number } end
  if known_hash == body_hash then return { 'same', known_number, known_errors } end
  return { 'conflict' }
end
local earlier = find_replay(replay, body_hash)
if earlier then return earlier end
local score = tonumber(given_number)
if given_number ~= '' and (not score or score ~= score) then
  return redis.error_reply('ERR the number of a job is no number')
end
local pending = count_all(pending_key)
if pending >= tonumber(max_pending) then return { 'full', pending, service_rate() } end
local bytes = #prompt + #extra + #targets + #node_errors + #secrets + #hook
local held, known_fleet = unpack(redis.call('MGET', pending_bytes_key, judging_for_key))
held = tonumber(held or 0)
if pending > 0 and held + bytes > tonumber(max_bytes) then return { 'heavy', held, service_rate() } end
local refusal = refuse_job(tenant, most_pending, most_a_day) or refuse_cost(tenant, least_cost, day_budget, month_budget)
if refusal then return refusal end

local number = given_number
if number == '' then
  local counted = redis.call('INCR', own(number_key, tenant)) - 1
  number = string.format('%d', front == '1' and -counted or counted)
end
local m = string.format('%016d:', redis.call('INCR', seq_key)) .. id
local group = ''
if serial == '1' and #client > 1 then group = tenant .. '\n' .. string.sub(client, 2) end
redis.call('HSET', job_key(id), 'id', id, 'm', m, 'state', 'pending', 'accepted_by', call, 'hash', body_hash,
  'number', number, 'created', now, 'tenant', tenant, 'client', client, 'lane', group, 'attempt', 0,
  'workflow', workflow, 'prompt', prompt, 'extra', extra, 'targets', targets, 'node_errors', node_errors,
  'secrets', secrets, 'bytes', bytes)
if hook ~= '' then redis.call('HSET', job_key(id), 'hook', hook, 'hook_events', hook_events) end
if kind ~= '' then redis.call('HSET', job_key(id), 'kind', kind) end
if needs ~= '' then redis.call('HSET', job_key(id), 'needs', needs) end
join_kind(m, kind)
-- The workers are others by now than those that the API knew of, or the other way round.
if fleet ~= (known_fleet or '') then redis.call('SADD', unjudged_key, id) end
local rank = rank_of(number, priority)
if rank ~= number then redis.call('HSET', job_key(id), 'rank', rank) end
if signature ~= '' then redis.call('HSET', job_key(id), 'signature', signature) end
if estimate_ms ~= '' then redis.call('HSET', job_key(id), 'estimate_ms', estimate_ms) end
if limits ~= '' then put_limits(tenant, limits) end
add_to(pending_key, tenant, rank, m)
take_room(bytes)
note_posted(tenant)
keep_replay(replay, body_hash, prompt_id_of(id), number, node_errors)
redis.call('ZADD', unreleased_key, now, id)
add_to(created_key('pending'), tenant, now, m)
if workflow ~= '' then redis.call('ZADD', workflow_key(scoped(tenant, workflow)), now, m) end
emit_status(tenant)
return { 'ok', number }
