import type { ClaimId } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { parseTaken, type TakenJob } from '../taken-job.ts';
import { parseWake, type Wake } from '../wake.ts';

export interface FinishReply {
  /** False when the claim is void: another worker has the job, or it has ended already. */
  readonly ours: boolean;
  /** Another job of the same client or tenant may start now. Who takes no further job must add a permit for it. */
  readonly unlocked: boolean;
  /** The permit's next job; undefined when nothing is ready, or the permit is no longer ours. */
  readonly next: TakenJob | undefined;
}

/** Ends a job, announces the end, and hands out the permit's next job, in one step. */
export const finishScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...([
      'prefix',
      'id',
      'permit',
      'claim',
      'outcome',
      'started',
      'ended',
      'outputs',
      'messages',
    ] as const),
    ...([
      'meta',
      'report',
      'outputs_count',
      'previewable_count',
      'preview_output',
      'failure',
      'terminal_frame',
    ] as const),
    ...([
      'idle_frame',
      'max_batches',
      'max_event_bytes',
      'events_ttl_s',
      'worker',
      'profile',
      'next_claim',
      'usage',
    ] as const),
  ],
  parse: (reply) => reply as [ours: 0 | 1, unlocked?: 0 | 1, next?: unknown, ...wake: unknown[]],
});

export function parseFinish(
  [ours, unlocked, next, ...wake]: Awaited<ReturnType<(typeof finishScript)['run']>>,
  claim: { readonly permit: string; readonly claimId: ClaimId },
): { readonly reply: FinishReply; readonly wake: Wake } {
  return {
    reply: { ours: ours === 1, unlocked: unlocked === 1, next: parseTaken(next, claim) },
    wake: parseWake(wake),
  };
}
