import type { Announcement } from '@tiercel/contracts';
import type { AnnouncementBoard } from '@tiercel/events';

/** For tests only: workers that announce classes, without any process of theirs. */

/** One class of a worker's catalogue, as JSON text, so that numbers keep their digits. */
export function nodeClass(name: string, required: string, optional = '{}'): string {
  return `"${name}":{"name":"${name}","input":{"required":${required},"optional":${optional}},"output":[],"output_node":false}`;
}

/** The catalogue's hash is the worker's name: tests say with it which one comes first in order. */
export async function announceWorker(
  board: AnnouncementBoard,
  workerId: string,
  classes: readonly string[],
  change: Partial<Announcement> = {},
): Promise<void> {
  const hash = `hash-of-${workerId}`;
  await board.putCatalogue(hash, `{${classes.join(',')}}`);
  const announcement: Announcement = {
    ...{ workerId, host: 'h', pid: 1, startedAt: 1, concurrency: 1, running: 0 },
    ...{ catalogueHash: hash, models: {}, embeddings: [], devices: [], tiers: [] },
    ...change,
  };
  await board.announce(announcement, true);
}
