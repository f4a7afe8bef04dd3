import type { EventLine, Preview } from '@tiercel/contracts';
import type { EventReplay, JobEnd } from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import { endFrames, lastFrame, splitEnd } from './end-frames.ts';

/** What a gap of the subscription may have hidden of one job. */
export interface MissedJob {
  readonly promptId: string;
  /** Of a job that has ended. */
  readonly endId: string | undefined;
  /** What happened before its end, in order; of progress only the newest. */
  readonly lines: readonly EventLine[];
  /** Its end; made from its record when the events are gone, the ids are `-` then. */
  readonly end: readonly EventLine[];
  /** Of a running job. */
  readonly preview: Preview | undefined;
}

interface Records {
  readonly reader: Reader;
  readonly replay: EventReplay;
  readonly maxEventBytes: number;
}

/**
 * @param afterId the newest event of the job that was received
 * @param records of the job's tenant
 */
export async function readMissedEnd(
  { promptId, endId }: Pick<JobEnd, 'promptId' | 'endId'>,
  afterId: string | undefined,
  { reader, replay, maxEventBytes }: Records,
): Promise<MissedJob> {
  const { before, end } = splitEnd(await collect(replay.readAfter(promptId, afterId)));
  if (end.length > 0) return { promptId, endId, lines: before, end, preview: undefined };
  // When even the record was deleted: at least that it is over.
  let frames = [lastFrame(promptId)];
  for await (const [job] of reader.streamEnds([promptId])) {
    if (job !== undefined) frames = endFrames(job, maxEventBytes);
  }
  const sent = frames.map((frame) => ({ id: '-', frame }));
  return { promptId, endId, lines: [], end: sent, preview: undefined };
}

/** As readMissedEnd, of a job that runs. */
export async function readMissedState(
  promptId: string,
  afterId: string | undefined,
  { replay }: Pick<Records, 'replay'>,
): Promise<MissedJob> {
  const [lines, { preview }] = await Promise.all([
    collect(replay.readAfter(promptId, afterId)),
    replay.readPresentState(promptId),
  ]);
  // Should it have ended just now: that comes live.
  return { promptId, endId: undefined, lines: splitEnd(lines).before, end: [], preview };
}

async function collect(pages: AsyncIterable<readonly EventLine[]>): Promise<EventLine[]> {
  const lines: EventLine[] = [];
  for await (const page of pages) lines.push(...page);
  return lines;
}
