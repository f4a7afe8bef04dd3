import { setTimeout as sleep } from 'node:timers/promises';
import { isQueued, type PromptRegister } from './find-prompt.ts';
import { IdleWatchdog } from './idle-watchdog.ts';
import type { Ending } from './prompt-ending.ts';

/** What stopping a prompt needs of the server it is on. */
export interface CancelServer extends PromptRegister {
  interrupt(id: string): Promise<void>;
  deletePending(id: string): Promise<void>;
}

const CANCEL_EVERY_MS = 300;
const CANCEL_TRIES = 30;
/** A server that has answered nothing for so long is not waited for: each question may take its whole limit. */
const SILENCE_MS = 2_000;

/** How a cancel went: the prompt's end as the server told it; it is no longer there; nobody knows. */
export type Cancelled = Ending | 'gone' | 'unconfirmed';

/**
 * Stops one prompt, wherever it is on its way from waiting to running: both are asked again until the server
 * tells the end or no longer has it. One that does not answer, or does not stop, is given up after a while.
 */
export async function cancelPrompt(
  server: CancelServer,
  id: string,
  ended: Promise<Ending>,
): Promise<Cancelled> {
  const answers = new IdleWatchdog(SILENCE_MS);
  const heard = (): void => {
    answers.touch();
  };
  const asking = { isOver: false };
  const askToEnd = async (): Promise<Cancelled> => {
    for (let attempt = 0; attempt < CANCEL_TRIES && !asking.isOver; attempt += 1) {
      await server.deletePending(id).then(heard, () => undefined);
      await server.interrupt(id).then(heard, () => undefined);
      // Unreferenced: it may outlive the job.
      const pause = sleep(CANCEL_EVERY_MS, undefined, { ref: false });
      const ending = await Promise.race([ended, pause]);
      if (ending !== undefined) return ending;
      if (!(await isQueued(server, id).catch(() => true))) return 'gone';
    }
    return 'unconfirmed';
  };
  const silence = answers.idle().then((): Cancelled => 'unconfirmed');
  const cancelled = await Promise.race([askToEnd(), silence]);
  asking.isOver = true;
  return cancelled;
}
