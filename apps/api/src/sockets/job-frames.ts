import {
  frameText,
  isJsonObject,
  parseJson,
  PICTURE_TYPE,
  type EventLine,
  type Preview,
  type ResultPicture,
} from '@tiercel/contracts';
import type { SocketSession } from './socket-session.ts';

const PROGRESS = '{"type":"progress';
const PROGRESS_STATE = '{"type":"progress_state"';
const REPORT = '{"type":"tiercel_report"';
const REQUEUED = '{"type":"tiercel_requeued"';
const PICTURE = `{"type":"${PICTURE_TYPE}"`;
const INTERRUPTED = '{"type":"execution_interrupted"';
const ERROR = '{"type":"execution_error"';

/** Whether a frame may be dropped for a slow socket: `progress` and `progress_state`. */
export function isProgressFrame(frame: string): boolean {
  return frame.startsWith(PROGRESS);
}

/**
 * Whether every socket is sent a frame of a job without a client; who publishes it decides it for live ones.
 * An error before the end says that a branch is blocked.
 */
export function isForEveryone(frame: string, { isOfEnd }: { readonly isOfEnd: boolean }): boolean {
  return frame.startsWith(PROGRESS) || frame.startsWith(isOfEnd ? INTERRUPTED : ERROR);
}

/** The picture of a frame that stands for one. */
export function readPictureFrame(frame: string): ResultPicture | undefined {
  if (!frame.startsWith(PICTURE)) return undefined;
  const message = parseJson(frame);
  // A worker of ours wrote it.
  return isJsonObject(message) ? (message.data as unknown as ResultPicture) : undefined;
}

/** `executing` with a node: which one binary frames without metadata belong to. */
export function executingFrame(nodeId: string, promptId: string): string {
  const data = { node: nodeId, display_node: nodeId, prompt_id: promptId };
  return frameText('executing', data, JSON.stringify);
}

/** Called when frames have been handed to the operating system. */
export interface DeliveryCallbacks {
  /** The last of the frames. */
  readonly onLast?: (() => void) | undefined;
  /** A picture that is a result. */
  readonly onPicture: (line: EventLine) => void;
}

/**
 * Sends the frames of one message to one socket. A preview arrives just ahead of its progress and goes
 * where ComfyUI puts it: with metadata between `progress_state` and `progress`, without after both
 * (wire 4.6).
 */
export function sendFrames(
  session: SocketSession,
  lines: readonly EventLine[],
  preview: Preview | undefined,
  { onLast, onPicture }: DeliveryCallbacks,
): void {
  session.sendTogether(() => {
    let waiting = preview;
    for (const [index, line] of lines.entries()) {
      const { frame } = line;
      if (frame.startsWith(REPORT) && !session.wantsReport) continue;
      if (frame.startsWith(REQUEUED) && !session.wantsQueue) continue;
      const picture = readPictureFrame(frame);
      if (picture !== undefined) {
        session.sendPicture(picture, () => {
          onPicture(line);
        });
        continue;
      }
      const isState = frame.startsWith(PROGRESS_STATE);
      if (isProgressFrame(frame)) session.sendProgress(frame);
      else session.sendText(frame, index === lines.length - 1 ? onLast : undefined);
      if (waiting === undefined || isState !== session.wantsMetadata) continue;
      session.sendPreview(waiting);
      waiting = undefined;
    }
    if (waiting !== undefined) session.sendPreview(waiting);
  });
}
