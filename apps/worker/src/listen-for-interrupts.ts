import type { EventSubscriber } from '@tiercel/events';
import type { Consumer } from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';
import type { RunningJobs } from './running-jobs.ts';

/** Stops the runs of jobs that somebody interrupts, from the moment in which it resolves. */
export async function listenForInterrupts(parts: {
  subscriber: EventSubscriber;
  running: RunningJobs;
  consumer: Consumer;
  log: Logger;
}): Promise<void> {
  const { subscriber, running, consumer, log } = parts;
  await subscriber.onInterrupt((id) => {
    running.interrupt(id);
  });
  subscriber.onGap({
    onGap: () => undefined,
    // Interrupts that were published while nothing was received are on the records.
    onWhole: () => {
      for (const job of running.ids()) {
        consumer.isCancelled(job).then(
          (cancelled) => {
            if (cancelled) running.interrupt(job);
          },
          (error: unknown) => {
            log.warn({ err: error }, 'interrupts could not be read');
          },
        );
      }
    },
  });
}
