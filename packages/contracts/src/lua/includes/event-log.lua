-- Writes what happens to a job: emit(id, kind, client, limits, frames). Included by the two scripts that do: during
-- a run packages/events, at its end packages/queue, where it must be one step with leaving `running`. The format is
-- explained in packages/contracts/src/event-log.ts.

-- @include clock
-- @include everyone
-- @keys events state pictures ends job_channel client_channel

local emit
-- A script may have 200 locals: what nobody else calls is in blocks, here and in other files.
do
  local MAX_SLOTS, MAX_ENDS, MAX_PICTURES = 300, 10000, 1000

  -- Returns the bytes of the stream afterwards. An entry for each batch at most: none is too many before the limit.
  local function keep_in_stream(id, batch, fields, bytes, limits)
    local entry = batch .. '-0'
    redis.call('XADD', events_key(id), entry, unpack(fields))
    while bytes > limits.bytes or
        tonumber(batch) > limits.batches and redis.call('XLEN', events_key(id)) > limits.batches do
      local oldest = redis.call('XRANGE', events_key(id), '-', '+', 'COUNT', 1)[1]
      if oldest[1] == entry then break end
      for i = 2, #oldest[2], 2 do bytes = bytes - #oldest[2][i] end
      redis.call('XDEL', events_key(id), oldest[1])
    end
    return string.format('%.0f', bytes)
  end

  -- A graph of thousands of nodes gets no slots for further ones.
  local function has_room(id, slot)
    if not string.find(slot, ' ', 1, true) then return true end
    return redis.call('HLEN', state_key(id)) <= MAX_SLOTS or redis.call('HEXISTS', state_key(id), slot) == 1
  end

  local function keep_unsent(client_id, pictures, limits)
    local at_us = clock_us()
    for i, line in ipairs(pictures) do
      local score = string.format('%.0f', at_us + i)
      redis.call('ZADD', pictures_key(client_id), score, line)
    end
    redis.call('ZREMRANGEBYRANK', pictures_key(client_id), 0, -1 - MAX_PICTURES)
    redis.call('EXPIRE', pictures_key(client_id), limits.seconds)
  end

  -- Entries of an earlier version are numbered by the clock: the first batch goes on behind them.
  local function newest_entry(id)
    local newest = redis.call('XREVRANGE', events_key(id), '+', '-', 'COUNT', 1)[1]
    return newest and string.match(newest[1], '^%d+') or 0
  end

  -- kind: 'E' = during the run, 'T' = the end.
  -- client: 'n' = none given, 'y' .. id = given.
  -- frames: list of { text, slot, broadcast (0|1) }. slot: '' = in the stream, '=' .. name = in that slot,
  --         '+' .. name = in both, '-' = nowhere.
  -- limits: { batches, bytes, seconds } of what is kept; seconds after the end, and of unsent pictures.
  function emit(id, kind, client, limits, frames)
    local has_client, client_id = string.sub(client, 1, 1) == 'y', string.sub(client, 2)
    local last_batch, kept_bytes = unpack(redis.call('HMGET', state_key(id), 'batch', 'bytes'))
    local batch = string.format('%.0f', tonumber(last_batch or newest_entry(id)) + 1)
    local state = { 'batch', batch }
    local head = kind .. ' ' .. cjson.encode(id)
    if kind == 'T' and not (has_client and client_id == '') then
      local end_id = redis.call('XADD', ends_key, 'MAXLEN', '~', MAX_ENDS, '*', 'id', id, 'client', client)
      head = head .. ' ' .. end_id
    end
    local lines, wide = { head }, { head }
    local fields, pictures, bytes = {}, {}, tonumber(kept_bytes or 0)
    for i, frame in ipairs(frames) do
      local text, mark, slot = frame[1], string.sub(frame[2], 1, 1), string.sub(frame[2], 2)
      local line = mark == '-' and '- ' .. text or batch .. '-0.' .. (i - 1) .. ' ' .. text
      if mark == '' or mark == '+' then
        fields[#fields + 1] = i - 1
        fields[#fields + 1] = text
        bytes = bytes + #text
      end
      if (mark == '=' or mark == '+') and has_room(id, slot) then
        state[#state + 1] = slot
        state[#state + 1] = line
      end
      if string.sub(slot, 1, 8) == 'picture ' then pictures[#pictures + 1] = line end
      lines[#lines + 1] = line
      if frame[3] == 1 then wide[#wide + 1] = line end
    end
    if #fields > 0 then
      state[#state + 1] = 'bytes'
      state[#state + 1] = keep_in_stream(id, batch, fields, bytes, limits)
    end
    redis.call('HSET', state_key(id), unpack(state))
    if kind == 'T' then
      redis.call('EXPIRE', events_key(id), limits.seconds)
      redis.call('EXPIRE', state_key(id), limits.seconds)
    end
    local message = table.concat(lines, '\n')
    redis.call('PUBLISH', job_channel(id), message)
    if not has_client then
      if #wide > 1 then redis.call('PUBLISH', everyone_of(id), table.concat(wide, '\n')) end
    elseif client_id ~= '' then
      if #pictures > 0 then keep_unsent(client_id, pictures, limits) end
      redis.call('PUBLISH', client_channel(client_id), message)
    end
  end
end
