import type { EventLine, EventMessage, Preview } from '@tiercel/contracts';
import type { SocketSession } from './socket-session.ts';

const PROGRESS = '{"type":"progress';
const PROGRESS_STATE = '{"type":"progress_state"';
const REPORT = '{"type":"tiercel_report"';

/** Whether a frame may be dropped for a slow socket: `progress` and `progress_state`. */
export function isProgressFrame(frame: string): boolean {
  return frame.startsWith(PROGRESS);
}

/**
 * Sends the frames of one message to one socket. A preview arrives just ahead of its progress and goes
 * where ComfyUI puts it: with metadata between `progress_state` and `progress` (transcript 06), without
 * after both (transcript 05).
 */
export function sendFrames(
  session: SocketSession,
  lines: readonly EventLine[],
  preview: Preview | undefined,
  onLastFlushed?: () => void,
): void {
  session.sendTogether(() => {
    let waiting = preview;
    for (const [index, { frame }] of lines.entries()) {
      if (frame.startsWith(REPORT) && !session.wantsReport) continue;
      const isState = frame.startsWith(PROGRESS_STATE);
      if (isProgressFrame(frame)) session.sendProgress(frame);
      else session.sendText(frame, index === lines.length - 1 ? onLastFlushed : undefined);
      if (waiting === undefined || isState !== session.wantsMetadata) continue;
      session.sendPreview(waiting);
      waiting = undefined;
    }
    if (waiting !== undefined) session.sendPreview(waiting);
  });
}

/** Leaves out what a snapshot sent before already told. */
export function linesAfter(
  message: EventMessage,
  lastId: string | undefined,
  isNewer: (a: string, b: string) => boolean,
): readonly EventLine[] {
  if (lastId === undefined) return message.lines;
  return message.lines.filter((line) => line.id === '-' || isNewer(line.id, lastId));
}
