import { isQueued, type PromptRegister } from './find-prompt.ts';

/** What forgetting a prompt needs of the server it was on. */
export interface ForgettingServer {
  readonly register: Pick<PromptRegister, 'readQueue'>;
  readonly forget: (id: string) => void;
}

const LOOK_EVERY_MS = 300;
const LOOKS = 10;

/**
 * Takes an ended prompt off a server's history. ComfyUI sends the last frame before it moves the prompt from
 * its queue to its history: deleted in between, it would stay there. Never throws: it is tidying up.
 * @param isInHistory its entry was read, so there is nothing to wait for
 */
export async function forgetPrompt(
  { register, forget }: ForgettingServer,
  id: string,
  isInHistory: boolean,
): Promise<void> {
  try {
    for (let look = 0; !isInHistory && look < LOOKS && (await isQueued(register, id)); look += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    forget(id);
  } catch {
    // A server that is away has other troubles than an entry too many.
  }
}
