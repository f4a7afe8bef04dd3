import type { EventLine } from '@tiercel/contracts';
import type { EventReplay, Missed, PresentState } from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import { endFrames } from './end-frames.ts';
import { readPictureFrame } from './job-frames.ts';

/** What a socket is sent when its client comes back. `pictures`: results that none was sent. */
export interface Snapshot {
  /** Where each running job of the client is. */
  readonly running: readonly {
    readonly promptId: string;
    readonly pictures: readonly EventLine[];
    readonly state: PresentState;
  }[];
  /** Jobs whose end no socket of the client has been sent, oldest first. */
  readonly ended: readonly {
    readonly promptId: string;
    readonly pictures: readonly EventLine[];
    readonly frames: readonly string[];
  }[];
  /** Ends up to this one are sent in `ended`, or were sent to another socket of the client. */
  readonly endId: string;
}

/** For a client that has not been here before. */
export function emptySnapshot(endId: string): Snapshot {
  return { running: [], ended: [], endId };
}

/**
 * @param client as keyText writes it
 * @param parts of the client's tenant
 * @param maxEventBytes of one frame
 */
export async function readSnapshot(
  client: string,
  { reader, replay }: { readonly reader: Reader; readonly replay: EventReplay },
  maxEventBytes: number,
): Promise<Snapshot> {
  // In this order: a job that ends in between is in neither list, and its end comes live.
  const missed = await replay.readMissed(client);
  const runningJobs = (await reader.listRunning()).filter(({ clientId }) => clientId === client);
  const picturesOf = (promptId: string) =>
    missed.pictures.filter(({ frame }) => readPictureFrame(frame)?.prompt_id === promptId);
  const running = await Promise.all(
    runningJobs.map(async ({ id }) => ({
      ...{ promptId: id, pictures: picturesOf(id) },
      state: await replay.readPresentState(id),
    })),
  );
  const ended = [];
  for await (const jobs of reader.streamEnds(missed.endedIds)) {
    for (const job of jobs) {
      const frames = endFrames(job, maxEventBytes);
      ended.push({ promptId: job.id, pictures: picturesOf(job.id), frames });
    }
  }
  const snapshotted = new Set([...ended, ...running].map(({ promptId }) => promptId));
  await forgetUntellable(client, replay, missed, snapshotted);
  return { running, ended, endId: missed.endId };
}

/** History was deleted meanwhile: there is nothing to send, and nothing to keep. */
async function forgetUntellable(
  client: string,
  replay: EventReplay,
  { endedIds, pictures }: Missed,
  snapshotted: ReadonlySet<string>,
): Promise<void> {
  const isInSnapshot = ({ frame }: EventLine) =>
    snapshotted.has(readPictureFrame(frame)?.prompt_id ?? '');
  await Promise.all([
    replay.acknowledge(
      client,
      endedIds.filter((id) => !snapshotted.has(id)),
    ),
    replay.acknowledgePictures(
      client,
      pictures.filter((line) => !isInSnapshot(line)),
    ),
  ]);
}
