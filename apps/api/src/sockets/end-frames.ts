import {
  boundedFrame,
  frameText,
  isJsonObject,
  parseJson,
  type EventLine,
  type JsonObject,
} from '@tiercel/contracts';
import type { EndedJob } from '@tiercel/queue';

/** The last frame of every job: `executing` with no node. */
const LAST = '{"type":"executing","data":{"node":null,';

export function isLastFrame(frame: string): boolean {
  return frame.startsWith(LAST);
}

/** The frames of a job's end apart from those before: they are the batch of the last frame. */
export function splitEnd(lines: readonly EventLine[]): {
  readonly before: readonly EventLine[];
  readonly end: readonly EventLine[];
} {
  const last = lines.findLast(({ frame }) => isLastFrame(frame));
  if (last === undefined) return { before: lines, end: [] };
  const batch = `${last.id.split('.')[0] ?? ''}.`;
  const isOfEnd = ({ id }: EventLine) => id.startsWith(batch);
  return { before: lines.filter((line) => !isOfEnd(line)), end: lines.filter(isOfEnd) };
}

export function lastFrame(promptId: string): string {
  return frameText('executing', { node: null, prompt_id: promptId }, JSON.stringify);
}

/**
 * How a job ended, made from its record: `executed` for each output node, the terminal event, and the
 * final `executing`.
 * @param maxBytes of one frame
 */
export function endFrames(job: EndedJob, maxBytes: number): string[] {
  const outputs = parseJson(job.outputsText);
  const executed = Object.entries(isJsonObject(outputs) ? outputs : {}).map(([node, output]) => {
    const data = { node, display_node: node, output, prompt_id: job.id };
    return boundedFrame('executed', data, maxBytes);
  });
  const last = readMessages(job).at(-1);
  const terminal = last === undefined ? [] : [boundedFrame(...last, maxBytes)];
  return [...executed, ...terminal, lastFrame(job.id)];
}

/** The messages of history: `execution_start`, `execution_cached`, and the terminal one. */
export function readMessages(job: Pick<EndedJob, 'messagesText'>): [string, JsonObject][] {
  return parseJson(job.messagesText) as unknown as [string, JsonObject][];
}
