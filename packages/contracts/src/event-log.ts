import { clientKeyOf, unscoped } from './scoped.ts';

/**
 * The format of job events in Redis, written by `lua/includes/event-log.lua` and read here.
 *
 * A batch is what one call emits. Batches of a job are numbered from 1; the id of an event is
 * `<batch>-0.<place in the batch, from 0>`.
 *
 * - Stream `<prefix>:events:<job>`: an entry `<batch>-0` for each batch, a field `<place>` for each
 *   frame that is kept. The oldest entries go when there are too many or their bytes are too many.
 * - Hash `<prefix>:state:<job>`: where the job stands. `batch` and `bytes` count; every other field
 *   is a slot that holds the newest frame of its kind, `<event id> <frame>`: `executing`,
 *   `execution_cached`, `progress_state`, `progress <node>`, `picture <node>`. Progress is only here: of a
 *   thousand steps the last one tells all.
 * - Stream `<prefix>:ends`: one entry for each end, in the order in which ends were published. Whoever
 *   missed messages finds here which jobs ended meanwhile.
 * - Sorted set `<prefix>:pictures:<client>`: pictures that are results and that no socket of the client
 *   has been sent yet: the lines `<event id> <frame>`, by time.
 *
 * `<job>` and `<client>` are scoped: see `scoped`.
 *
 * Message on a channel: a head line `<kind> <job as JSON>`, at an end ` <id in ends>` behind it, then
 * one line per frame `<event id> <frame>`; a frame that is kept nowhere (a `status`) has the id `-`.
 * kind: E = during the run, T = the end. Frames hold no raw newline: JSON escapes them.
 *
 * Who gets a message: the client's channel when the prompt named a client_id (nobody when that is
 * the empty string); without a client_id only progress and interruption go to every socket of the tenant, as
 * ComfyUI 0.3.64 does (wire 2.8, 2.9).
 */

export interface EventLine {
  /** Id of the event (see above), or `-` for a frame that is not kept. */
  readonly id: string;
  readonly frame: string;
}

export interface EventMessage {
  /** Its caller's; empty for a message that is no job's. */
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

/** Reads a channel message; the inverse of what event-log.lua publishes. */
export function parseEventMessage(text: string): EventMessage {
  const [head = '', ...rest] = text.split('\n');
  const [, kind, id = '""', endId] = HEAD.exec(head) ?? [];
  return {
    promptId: unscoped(JSON.parse(id) as string).text,
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

/** The `client` argument of emit in event-log.lua. Its text becomes part of key names. */
export function encodeClient(tenant: string, clientId: string | undefined): string {
  if (clientId === '') return 'y';
  return clientId === undefined ? 'n' : `y${clientKeyOf(tenant, clientId)}`;
}

/** The client's own text; undefined when the prompt named none. */
export function decodeClient(field: string): string | undefined {
  return field.startsWith('y') ? unscoped(field.slice(1)).text : undefined;
}

/** A frame's text in ComfyUI's shape; `type` comes first because SwarmUI reads it from there. */
export function frameText(
  type: string,
  data: unknown,
  stringify: (value: unknown) => string,
): string {
  return `{"type":${JSON.stringify(type)},"data":${stringify(data)}}`;
}
