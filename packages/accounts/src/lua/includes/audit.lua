-- Writes down who changed what, in the step that changes it.
--
-- Wants the locals who, from, audit_max (entries that are kept, about).

-- @include now
-- @keys audit

local function audit(action, target, before, after)
  redis.call('XADD', audit_key, 'MAXLEN', '~', audit_max, '*',
    'at', now, 'who', who, 'from', from, 'action', action, 'target', target, 'before', before, 'after', after)
end
