import { boundedFrame, parseJson, webhookType, type OutboxEntry } from '@tiercel/contracts';

/** What a frame's `{"type":"` and its end take, and what the body adds to them. */
const ENVELOPE_BYTES = 200;

/**
 * The body of a delivery: the event as event streams give it (`event` and `data`), in the envelope that Standard
 * Webhooks recommends (`type`, `timestamp`, `data`). What event streams do not tell has no `event`.
 * @param maxBytes what is over it is cut, as boundedFrame does
 */
export function makeBody(
  { event, frame, entryId }: Pick<OutboxEntry, 'event' | 'frame' | 'entryId'>,
  maxBytes: number,
): string {
  const isWhole = Buffer.byteLength(frame) + ENVELOPE_BYTES <= maxBytes;
  const shown = isWhole ? frame : cut(frame, maxBytes - ENVELOPE_BYTES);
  // A frame is `{"type":"<type>","data":<data>}`; see frameText.
  const end = shown.indexOf('","data":');
  const name = shown.slice('{"type":"'.length, end);
  const data = shown.slice(end + '","data":'.length, -1);
  const at = new Date(Number(entryId.split('-')[0])).toISOString();
  const eventMember = name === '' ? '' : `"event":"${name}",`;
  return `{"type":"${webhookType(event)}","timestamp":"${at}",${eventMember}"data":${data}}`;
}

function cut(frame: string, maxBytes: number): string {
  const { type, data } = parseJson(frame) as { type: string; data: object }; // as frameText wrote it
  return boundedFrame(type, data, maxBytes);
}
