-- Tells every process that keys have changed: those that listen, and those that ask.

-- @keys api_keys_version accounts_channel

local function keys_changed()
  redis.call('INCR', api_keys_version_key)
  redis.call('PUBLISH', accounts_channel, 'keys')
end
