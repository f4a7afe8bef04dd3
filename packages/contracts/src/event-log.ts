import { lua } from './lua.ts';
import { luaNames } from './redis-names.ts';

/**
 * The format of job events in Redis, shared by the two scripts that write them (packages/events for
 * what happens during a run, packages/queue for the end, which must be atomic with leaving `running`).
 *
 * Stream `<prefix>:events:<promptId>`: one entry per batch of events, a field `e` for each frame's JSON
 * text. The id of an event is that of its entry, a dot, and its place in it from 0.
 * Message on a channel: a head line `<kind> <promptId as JSON>`, then one line per frame
 * `<event id> <frame>`; a frame that is not in the stream (a `status`) has the id `-`.
 * kind: E = during the run, T = the end. Frames hold no raw newline: JSON escapes them.
 *
 * Who gets a message: the client's channel when the prompt named a client_id (nobody when that is
 * the empty string); without a client_id only progress and interruption go to every socket, as
 * ComfyUI 0.3.64 does (transcripts 10 and 11).
 */
export const LUA_EMIT = lua`
${luaNames('events', 'job_channel', 'client_channel', 'everyone_channel')}
-- client: 'n' = none given, 'y' .. id = given. frames: list of { text, keep (0|1), broadcast (0|1) }.
local function emit(id, kind, client, max_entries, frames)
  local fields = {}
  for _, frame in ipairs(frames) do
    if frame[2] == 1 then
      fields[#fields + 1] = 'e'
      fields[#fields + 1] = frame[1]
    end
  end
  local entry = redis.call('XADD', events_key(id), 'MAXLEN', '~', max_entries, '*', unpack(fields))
  local head = kind .. ' ' .. cjson.encode(id)
  local lines = { head }
  local wide = { head }
  local place = 0
  for _, frame in ipairs(frames) do
    local line
    if frame[2] == 1 then
      line = entry .. '.' .. place .. ' ' .. frame[1]
      place = place + 1
    else
      line = '- ' .. frame[1]
    end
    lines[#lines + 1] = line
    if frame[3] == 1 then wide[#wide + 1] = line end
  end
  local message = table.concat(lines, '\n')
  redis.call('PUBLISH', job_channel(id), message)
  local client_id = string.sub(client, 2)
  if string.sub(client, 1, 1) == 'y' then
    if client_id ~= '' then redis.call('PUBLISH', client_channel(client_id), message) end
  elseif #wide > 1 then
    redis.call('PUBLISH', everyone_channel, table.concat(wide, '\n'))
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
  readonly lines: readonly EventLine[];
}

/** A channel message with one frame that is no job's. */
export function joblessMessage(frame: string): string {
  return `E ""\n- ${frame}`;
}

/** Reads a channel message; the inverse of what LUA_EMIT publishes. */
export function parseEventMessage(text: string): EventMessage {
  const [head = '', ...rest] = text.split('\n');
  return {
    promptId: JSON.parse(head.slice(2)) as string,
    terminal: head.startsWith('T'),
    lines: rest.map((line) => {
      const space = line.indexOf(' ');
      return { id: line.slice(0, space), frame: line.slice(space + 1) };
    }),
  };
}

/** The `client` argument of LUA_EMIT. */
export function encodeClient(clientId: string | undefined): string {
  return clientId === undefined ? 'n' : `y${clientId}`;
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
