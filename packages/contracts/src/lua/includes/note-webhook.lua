-- The outbox of webhooks (docs/adr/0022): what happens to a job is noted in the same step in which it happens, if
-- somebody wants to be told. A dispatcher makes deliveries of it (packages/webhooks). An entry needs nothing else:
-- the record of its job may be gone by then.
--
-- Stream `webhook-outbox`, fields: `tenant`, `job`, `event` (of WEBHOOK_EVENTS), `frame` (the event as event streams
-- get it; for `queued` and a deleted job one made here), `hook` (the job's own webhook, sealed; '' for none), `own`
-- (1: that one wants the event). parseOutboxEntry reads it.
--
-- On the record of a job with a webhook of its own: `hook`, `hook_events` (names between blanks), and
-- `hook_progress`, when progress was noted last. Of tenants with webhooks: hash `webhook-wanted`, the same list.

-- @include clock
-- @include tenants
-- @keys job webhook_outbox webhook_wanted

-- Shortest time between two progress events of one job.
local PROGRESS_EVERY_MS = 2000
-- Far more than a dispatcher leaves; beyond it nothing is noted: without workers Redis must not fill up.
local MAX_OUTBOX = 100000
-- Progress is worth nothing when others wait already.
local MAX_OUTBOX_BEFORE_PROGRESS = 1000

-- What to call note_webhook with; nil when nobody wants anything of the job. own: `hook_events` of its record.
local function webhook_of(id, own)
  local tenant = tenant_of(id)
  local shared = redis.call('HGET', webhook_wanted_key, tenant)
  if not own and not shared then return nil end
  local hook = own and redis.call('HGET', job_key(id), 'hook')
  return { id = id, tenant = tenant, hook = hook or '', own = own or '', shared = shared or '' }
end

local function has_word(list, word) return string.find(list, ' ' .. word .. ' ', 1, true) ~= nil end

local function note_webhook(target, event, frame)
  if not target then return end
  local is_own = has_word(target.own, event)
  if not is_own and not has_word(target.shared, event) then return end
  local most = event == 'progress' and MAX_OUTBOX_BEFORE_PROGRESS or MAX_OUTBOX
  if redis.call('XLEN', webhook_outbox_key) >= most then return end
  redis.call('XADD', webhook_outbox_key, '*', 'tenant', target.tenant, 'job', target.id, 'event', event,
    'frame', frame, 'hook', target.hook, 'own', is_own and 1 or 0)
end

-- A moment of a job that event streams are not told: its ids, the members given as JSON text, and the time.
local function note_moment(id, own, event, members)
  local target = webhook_of(id, own)
  if not target then return end
  note_webhook(target, event, '{"type":"","data":{"prompt_id":' .. cjson.encode(prompt_id_of(id)) .. ',' .. members ..
    ',"timestamp":' .. string.format('%.0f', math.floor(clock_us() / 1000)) .. '}}')
end

-- Whether somebody wants progress and was not told any lately; if so, this is the last that was told.
local function is_progress_due(target)
  if not has_word(target.own, 'progress') and not has_word(target.shared, 'progress') then return false end
  local now_ms = math.floor(clock_us() / 1000)
  local last = tonumber(redis.call('HGET', job_key(target.id), 'hook_progress') or 0)
  if now_ms >= last and now_ms - last < PROGRESS_EVERY_MS then return false end
  redis.call('HSET', job_key(target.id), 'hook_progress', string.format('%.0f', now_ms))
  return true
end
