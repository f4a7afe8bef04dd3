-- Ends a job: the record goes to history in the same step in which it leaves `running`, and the end is
-- published: terminal event, `status`, `executing {node: null}`. The same step hands out the next job.
--
-- ARGV[1] prefix
-- ARGV[2] id                  of the job
-- ARGV[3] permit
-- ARGV[4] claim
-- ARGV[5] outcome             success | error | interrupted
-- ARGV[6] started             epoch ms
-- ARGV[7] ended               epoch ms
-- ARGV[8] outputs             JSON
-- ARGV[9] messages            JSON
-- ARGV[10] meta               JSON
-- ARGV[11] report             JSON
-- ARGV[12] outputs_count
-- ARGV[13] previewable_count  of these outputs, those that frontends can show
-- ARGV[14] preview_output     JSON, or ''
-- ARGV[15] failure            JSON, or ''
-- ARGV[16] terminal_frame
-- ARGV[17] idle_frame         executing with node null
-- ARGV[18] max_batches        kept of the job's events
-- ARGV[19] max_event_bytes    kept of the job's events
-- ARGV[20] events_ttl_s
-- ARGV[21] worker
-- ARGV[22] profile             of the worker
-- ARGV[23] next_claim         id for the claim of the permit's next job; '' to take none
-- ARGV[24] usage              what the job used, JSON as count-usage has it; '' counts nothing
-- Returns {0} when the claim is void
--       | {1, another job may start now (0|1), next job as in take-job or nil, then as wake() tells}
-- Sent again: as the first time, also with a result that could not be written before: the record still names the
--   claim that ended it, and the next job the claim that it was handed out to.
-- Caller dies: the job has ended; the permit is delivered again and gets its next job again.

-- @include now
-- @include event-log
-- @include tenants
-- @include queue-status
-- @include history
-- @include groups
-- @include take-job
-- @include charge
-- @include learn-cost
-- @include count-usage
-- @include wake
-- @include note-webhook
-- @keys job permits running created duration missed

-- Ends of a client that are kept for its return, at most.
local MAX_MISSED = 100
local WEBHOOK_EVENT_OF = { success = 'completed', error = 'failed', interrupted = 'interrupted' }

local state, holder, m, tenant, group, created, client, signature, cost, hook_events = unpack(redis.call('HMGET',
  job_key(id), 'state', 'claim', 'm', 'tenant', 'lane', 'created', 'client', 'signature', 'cost', 'hook_events'))
if state ~= 'running' or holder ~= claim then
  local next_id = next_claim ~= '' and redis.call('HGET', permits_key, permit)
  local next_job = next_id and taken_by(next_claim, next_id) or nil
  local is_ended_by_us = holder == claim and state ~= 'pending'
  if not is_ended_by_us and not next_job then return { 0 } end
  return { 1, tonumber(redis.call('HGET', job_key(id), 'unlocked') or 0), next_job or false, wake() }
end
local run_ms = tonumber(ended) - tonumber(started)

redis.call('HDEL', permits_key, permit)
remove_from(running_key, tenant, id)
remove_from(created_key('running'), tenant, m)
add_to(created_key(outcome), tenant, created, m)
add_to(duration_key(outcome), tenant, run_ms, m)
add_to_history(tenant, now, m)
if outcome == 'success' then learn(signature, run_ms) end
count_usage(tenant, outcome, usage)
local unlocked = cost and settle_charge(tenant, id, run_ms) or 0
unlocked = math.max(unlocked, free_group(tenant, group))
redis.call('HSET', job_key(id), 'state', outcome, 'unlocked', unlocked, 'started', started, 'ended', ended,
  'outputs', outputs, 'messages', messages, 'meta', meta, 'report', report, 'outputs_count', outputs_count,
  'previewable_count', previewable_count, 'preview_output', preview_output, 'error', failure, 'secrets', '')
local left = emit_status(tenant)
local status_frame = '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":' .. left .. '}}}}'
local limits = { batches = tonumber(max_batches), bytes = tonumber(max_event_bytes), seconds = events_ttl_s }
emit(id, 'T', client, limits, {
  { terminal_frame, '', outcome == 'interrupted' and 1 or 0 },
  { status_frame, '-', 0 },
  { idle_frame, '', 0 },
})
if #client > 1 then
  local missed = missed_key(string.sub(client, 2))
  redis.call('ZADD', missed, now, id)
  redis.call('ZREMRANGEBYRANK', missed, 0, -1 - MAX_MISSED)
  redis.call('EXPIRE', missed, events_ttl_s)
end
local target = webhook_of(id, hook_events)
if target then
  if string.find(report, '"degraded":true', 1, true) then
    note_webhook(target, 'degraded', '{"type":"tiercel_report","data":{"prompt_id":' .. cjson.encode(prompt_id_of(id)) .. ',' ..
      string.sub(report, 2) .. '}')
  end
  note_webhook(target, WEBHOOK_EVENT_OF[outcome], terminal_frame)
end
local next_job = next_claim ~= '' and take_next(permit, worker, next_claim, profile)
return { 1, unlocked, next_job or false, wake() }
