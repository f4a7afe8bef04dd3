import { setTimeout as sleep } from 'node:timers/promises';
import { isQueued, type PromptRegister } from './find-prompt.ts';

/** What forgetting a prompt needs of the server it was on. */
export interface ForgettingServer {
  readonly client: Pick<PromptRegister, 'readQueue'>;
  forget(id: string): void;
}

const LOOK_EVERY_MS = 300;
const LOOKS = 10;

/**
 * Takes an ended prompt off a server's history. ComfyUI sends the last frame before it moves the prompt from
 * its queue to its history: deleted in between, it would stay there. Never throws: it is tidying up.
 * @param isInHistory its entry was read, so there is nothing to wait for
 */
export async function forgetPrompt(
  server: ForgettingServer,
  id: string,
  isInHistory: boolean,
): Promise<void> {
  const { client } = server;
  try {
    for (let look = 0; !isInHistory && look < LOOKS && (await isQueued(client, id)); look += 1) {
      await sleep(LOOK_EVERY_MS);
    }
    server.forget(id);
  } catch {
    // A server that is away has other troubles than an entry too many.
  }
}
