-- Publishes a batch of events of a running job, for as long as the claim is valid: a worker that was taken for
-- dead emits nothing any more. Batches of a claim are numbered from 1, so that one is published once although
-- the connection may send it twice, and none before the one ahead of it.
--
-- ARGV[1] prefix
-- ARGV[2] id           of the job
-- ARGV[3] claim
-- ARGV[4] batch        its number
-- ARGV[5] waits        1: not before the batch ahead of it
-- ARGV[6] client       'n' for none, else 'y' and the client_id
-- ARGV[7] max_batches  of the job's stream
-- ARGV[8] max_bytes    of the job's stream
-- ARGV[9] ttl_s        of pictures that no socket has been sent
-- ARGV[10..] frames    for each: JSON text, slot, broadcast (0|1); see event-log
-- Returns 'done', 'void' (the claim), or 'early'
-- Sent again: 'done', without publishing: the record has the number of the last batch.
-- Caller dies: the next attempt goes on behind this batch.

-- @include event-log
-- @include note-webhook
-- @keys job

local function note_events(frames, own)
  local target = webhook_of(id, own)
  if not target then return end
  local progress
  for _, frame in ipairs(frames) do
    local kind = string.match(frame[1], '^{"type":"([%w_]+)"')
    if kind == 'execution_start' then note_webhook(target, 'started', frame[1]) end
    -- Of several steps the last one tells all.
    if kind == 'progress' then progress = frame[1] end
  end
  if progress and is_progress_due(target) then note_webhook(target, 'progress', progress) end
end

local state, holder, last_batch, hook_events =
  unpack(redis.call('HMGET', job_key(id), 'state', 'claim', 'batch', 'hook_events'))
if state ~= 'running' or holder ~= claim then return 'void' end
local ahead = tonumber(batch) - tonumber(last_batch)
if ahead <= 0 then return 'done' end
if ahead > 1 and waits == '1' then return 'early' end

local batch_frames = {}
for i = 1, #frames, 3 do batch_frames[#batch_frames + 1] = { frames[i], frames[i + 1], tonumber(frames[i + 2]) } end
local limits = { batches = tonumber(max_batches), bytes = tonumber(max_bytes), seconds = ttl_s }
redis.call('HSET', job_key(id), 'batch', batch)
emit(id, 'E', client, limits, batch_frames)
note_events(batch_frames, hook_events)
return 'done'
