import { keyText } from './ids.ts';
import { lua } from './lua.ts';
import { luaNames } from './redis-names.ts';

/**
 * The format of job events in Redis, shared by the two scripts that write them (packages/events for
 * what happens during a run, packages/queue for the end, which must be atomic with leaving `running`).
 *
 * A batch is what one call emits. Batches of a job are numbered from 1; the id of an event is
 * `<batch>-0.<place in the batch, from 0>`.
 *
 * - Stream `<prefix>:events:<promptId>`: an entry `<batch>-0` for each batch, a field `<place>` for each
 *   frame that is kept. The oldest entries go when there are too many or their bytes are too many.
 * - Hash `<prefix>:state:<promptId>`: where the job stands. `batch` and `bytes` count; every other field
 *   is a slot that holds the newest frame of its kind, `<event id> <frame>`: `executing`,
 *   `execution_cached`, `progress_state`, `progress <node>`, `picture <node>`. Progress is only here: of a
 *   thousand steps the last one tells all.
 * - Stream `<prefix>:ends`: one entry for each end, in the order in which ends were published. Whoever
 *   missed messages finds here which jobs ended meanwhile.
 * - Sorted set `<prefix>:pictures:<client>`: pictures that are results and that no socket of the client
 *   has been sent yet: the lines `<event id> <frame>`, by time.
 *
 * Message on a channel: a head line `<kind> <promptId as JSON>`, at an end ` <id in ends>` behind it, then
 * one line per frame `<event id> <frame>`; a frame that is kept nowhere (a `status`) has the id `-`.
 * kind: E = during the run, T = the end. Frames hold no raw newline: JSON escapes them.
 *
 * Who gets a message: the client's channel when the prompt named a client_id (nobody when that is
 * the empty string); without a client_id only progress and interruption go to every socket, as
 * ComfyUI 0.3.64 does (wire 2.8, 2.9).
 */
export const LUA_EMIT = lua`
${luaNames('events', 'state', 'ends', 'pictures')}
${luaNames('job_channel', 'client_channel', 'everyone_channel')}
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
  local at = redis.call('TIME')
  for i, line in ipairs(pictures) do
    local score = string.format('%.0f', at[1] * 1000000 + at[2] + i)
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

-- client: 'n' = none given, 'y' .. id = given.
-- frames: list of { text, slot, broadcast (0|1) }. slot: '' = in the stream, '=' .. name = in that slot,
--         '+' .. name = in both, '-' = nowhere.
-- limits: { batches, bytes, seconds } of what is kept; seconds after the end, and of unsent pictures.
local function emit(id, kind, client, limits, frames)
  local has_client, client_id = string.sub(client, 1, 1) == 'y', string.sub(client, 2)
  local last_batch, kept_bytes = unpack(redis.call('HMGET', state_key(id), 'batch', 'bytes'))
  local batch = string.format('%.0f', tonumber(last_batch or newest_entry(id)) + 1)
  local state = { 'batch', batch }
  local head = kind .. ' ' .. cjson.encode(id)
  if kind == 'T' and not (has_client and client_id == '') then
    local place = redis.call('XADD', ends_key, 'MAXLEN', '~', MAX_ENDS, '*', 'id', id, 'client', client)
    head = head .. ' ' .. place
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
    if #wide > 1 then redis.call('PUBLISH', everyone_channel, table.concat(wide, '\n')) end
  elseif client_id ~= '' then
    if #pictures > 0 then keep_unsent(client_id, pictures, limits) end
    redis.call('PUBLISH', client_channel(client_id), message)
  end
end
`;

export interface EventLine {
  /** Id of the event (see above), or `-` for a frame that is not kept. */
  readonly id: string;
  readonly frame: string;
}

export interface EventMessage {
  readonly promptId: string;
  readonly terminal: boolean;
  /** Of an end: its place among all ends. */
  readonly endId: string | undefined;
  readonly lines: readonly EventLine[];
}

/** A channel message with one frame that is no job's. */
export function joblessMessage(frame: string): string {
  return `E ""\n- ${frame}`;
}

/** Kind, prompt id as JSON, and at an end its place among all ends. */
const HEAD = /^(\w) ("(?:[^"\\]|\\.)*")(?: (\S+))?$/;

/** Reads a channel message; the inverse of what LUA_EMIT publishes. */
export function parseEventMessage(text: string): EventMessage {
  const [head = '', ...rest] = text.split('\n');
  const [, kind, id = '""', endId] = HEAD.exec(head) ?? [];
  return {
    promptId: JSON.parse(id) as string,
    terminal: kind === 'T',
    endId,
    lines: rest.map(parseEventLine),
  };
}

/** `<event id> <frame>`. */
export function parseEventLine(line: string): EventLine {
  const space = line.indexOf(' ');
  return { id: line.slice(0, space), frame: line.slice(space + 1) };
}

/** The `client` argument of LUA_EMIT. Its text becomes part of key names. */
export function encodeClient(clientId: string | undefined): string {
  return clientId === undefined ? 'n' : `y${keyText(clientId)}`;
}

export function decodeClient(field: string): string | undefined {
  return field.startsWith('y') ? field.slice(1) : undefined;
}

/** A frame's text in ComfyUI's shape; `type` comes first because SwarmUI reads it from there. */
export function frameText(
  type: string,
  data: unknown,
  stringify: (value: unknown) => string,
): string {
  return `{"type":${JSON.stringify(type)},"data":${stringify(data)}}`;
}
