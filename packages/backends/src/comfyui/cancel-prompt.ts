import type { Ending } from './prompt-ending.ts';
import { isQueued, type PromptRegister } from './find-prompt.ts';

/** What stopping a prompt needs of the server it is on. */
export interface CancelServer extends PromptRegister {
  interrupt(id: string): Promise<void>;
  deletePending(id: string): Promise<void>;
}

const CANCEL_EVERY_MS = 300;
const CANCEL_TRIES = 30;

/**
 * Stops one prompt, wherever it is on its way from waiting to running: both are asked again until the server
 * tells the end or no longer has it.
 * @returns the end, when the server told it
 */
export async function cancelPrompt(
  server: CancelServer,
  id: string,
  ended: Promise<Ending>,
): Promise<Ending | undefined> {
  for (let attempt = 0; attempt < CANCEL_TRIES; attempt += 1) {
    await server.deletePending(id).catch(() => undefined);
    await server.interrupt(id).catch(() => undefined);
    const ending = await Promise.race([ended, pause(CANCEL_EVERY_MS)]);
    if (ending !== undefined) return ending;
    if (!(await isQueued(server, id).catch(() => true))) return undefined;
  }
  return undefined;
}

function pause(durationMs: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => {
      resolve(undefined);
    }, durationMs);
  });
}
