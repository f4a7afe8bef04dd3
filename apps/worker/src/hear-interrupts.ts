import type { PromptId } from '@tiercel/contracts';
import type { EventSubscriber } from '@tiercel/events';
import type { Consumer } from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';
import type { RunningJobs } from './running-jobs.ts';

/** Stops the runs of jobs that somebody interrupts, from the moment in which it resolves. */
export async function hearInterrupts(parts: {
  subscriber: EventSubscriber;
  running: RunningJobs;
  consumer: Consumer;
  log: Logger;
}): Promise<void> {
  const { subscriber, running, consumer, log } = parts;
  await subscriber.onBell((id) => {
    running.ring(id as PromptId); // as the record has it, which had it from a PromptId
  });
  subscriber.onGap({
    onGap: () => undefined,
    // Bells that rang while nothing was heard are on the records.
    onWhole: () => {
      for (const job of running.ids()) {
        consumer.isCancelled(job).then(
          (cancelled) => {
            if (cancelled) running.ring(job);
          },
          (error: unknown) => {
            log.warn({ err: error }, 'interrupts could not be read');
          },
        );
      }
    },
  });
}
