-- Writes or deletes a tenant's webhook, and what the tenant's webhooks together want to be told: in one step, so that
-- no event of a job is missed, or noted for nobody.
--
-- ARGV[1] prefix
-- ARGV[2] tenant
-- ARGV[3] id
-- ARGV[4] value    what it wants, between blanks, a line break, and the webhook, sealed; '' deletes it
-- ARGV[5] mode     new | known: only one that is there | any
-- ARGV[6] most     of one tenant
-- Returns 'ok', 'full', or 'unknown'
-- Sent again: 'ok', but 'unknown' for a deletion: it is not there any more.

-- @keys webhook_endpoints webhook_wanted

local key = webhook_endpoints_key(tenant)
local is_known = redis.call('HEXISTS', key, id) == 1
if not is_known and (value == '' or mode == 'known') then return 'unknown' end
if not is_known and redis.call('HLEN', key) >= tonumber(most) then return 'full' end
if value == '' then redis.call('HDEL', key, id) else redis.call('HSET', key, id, value) end
local words, wanted = {}, ' '
for _, each in ipairs(redis.call('HVALS', key)) do
  for word in string.gmatch(string.match(each, '^[^\n]*'), '%S+') do
    if not words[word] then wanted = wanted .. word .. ' ' end
    words[word] = true
  end
end
if wanted == ' ' then redis.call('HDEL', webhook_wanted_key, tenant)
else redis.call('HSET', webhook_wanted_key, tenant, wanted) end
return 'ok'
