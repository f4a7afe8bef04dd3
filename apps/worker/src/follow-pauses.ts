import type { PolicyStore } from '@tiercel/accounts';
import type { Consumer, PermitRunner } from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';

/** Takes permits only while no administrator has paused the pool. Call it when the runner has been started. */
export function followPauses(parts: {
  readonly policy: Pick<PolicyStore, 'onChange'>;
  readonly isPaused: () => boolean;
  readonly runner: Pick<PermitRunner, 'pause' | 'resume'>;
  readonly consumer: Pick<Consumer, 'addPermit'>;
  readonly log: Logger;
}): void {
  const { policy, isPaused, runner, consumer, log } = parts;
  let wasPaused = false;
  const follow = (): void => {
    if (isPaused() === wasPaused) return;
    wasPaused = isPaused();
    log.info({ paused: wasPaused }, 'an administrator has paused or resumed this pool');
    const done = wasPaused ? runner.pause() : resume();
    done.catch((error: unknown) => {
      log.warn({ err: error }, 'a pause could not be followed');
    });
  };
  const resume = async (): Promise<void> => {
    await runner.resume();
    // What waited may have lost its permits to the pause. One too many finds nothing, and ends.
    await consumer.addPermit();
  };
  policy.onChange(follow);
  follow();
}
