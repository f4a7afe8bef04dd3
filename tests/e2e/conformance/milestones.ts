import type { JsonObject } from '@tiercel/contracts';
import type { Frame } from '@tiercel/testkit';
import type { RecordedMessage, RecordedSocket, TextMessage } from './transcript.ts';

/** The last frame before `at` that says where a job is: a replay waits for the same. */
export function lastMilestone(
  messages: readonly RecordedMessage[],
  at: number,
): TextMessage['text'] | undefined {
  const found = messages.findLast(
    (message): message is TextMessage =>
      message.at < at && 'text' in message && isMilestone(message.text.type),
  );
  return found?.text;
}

function isMilestone(type: string): boolean {
  return type !== 'status' && type !== 'progress_state' && type !== 'feature_flags';
}

/**
 * Whether a frame shows that a milestone is reached. Progress may be further already.
 * @param toOurs our prompt id for a recorded one
 */
export function reachedBy(
  milestone: TextMessage['text'],
  toOurs: (promptId: string) => string,
): (frame: Frame) => boolean {
  const { data } = milestone;
  const promptId = typeof data.prompt_id === 'string' ? toOurs(data.prompt_id) : undefined;
  return (frame) => {
    if (frame.kind !== 'text' || frame.type !== milestone.type) return false;
    const ours = frame.data as JsonObject; // every frame of these types has an object as its data
    if (promptId !== undefined && ours.prompt_id !== promptId) return false;
    if (ours.node !== data.node) return false;
    return milestone.type !== 'progress' || Number(ours.value) >= Number(data.value);
  };
}

/** How many jobs the sockets had last been told of before `at`; undefined when nobody had been told. */
export function recordedRemaining(
  sockets: readonly RecordedSocket[],
  at: number,
): number | undefined {
  const received = sockets
    .flatMap((socket) => socket.messages)
    .filter((message) => message.at < at)
    .sort((a, b) => a.at - b.at)
    .flatMap((message) => ('text' in message ? readRemaining(message.text) : []));
  return received.at(-1);
}

/** The number of jobs in a `status` frame; empty for any other. */
export function readRemaining({ type, data }: TextMessage['text']): number[] {
  if (type !== 'status') return [];
  const { status } = data as { status?: { exec_info?: { queue_remaining?: number } } };
  const remaining = status?.exec_info?.queue_remaining;
  return remaining === undefined ? [] : [remaining];
}
