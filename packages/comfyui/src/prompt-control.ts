import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '@tiercel/contracts';
import { AttemptStopped, goesOnElsewhere, Stopped } from '@tiercel/routing';
import { startTimer } from '@tiercel/runtime';
import type { ComfyClient } from './comfy-client.ts';
import type { Ending } from './prompt-ending.ts';

const CANCEL_EVERY_MS = 300;
const CANCEL_TRIES = 30;
/** A server that has answered nothing for so long is not waited for: each question may take its whole limit. */
const SILENCE_MS = 2_000;

const LOOK_EVERY_MS = 300;
const LOOKS = 10;
/** Entries of history that come within this time are deleted together. */
const COLLECT_MS = 300;

/** The server that a prompt is on. */
export interface PromptServer {
  readonly client: ComfyClient;
  /** Nobody waits for the prompt any more: it is stopped there as soon as the server answers. */
  abandon(id: string): void;
  /** An ended prompt goes off its history, soon. */
  forget(id: string): void;
}

/** Where a server has a prompt. */
type PromptPlace =
  | { readonly kind: 'queued' }
  | { readonly kind: 'ended'; readonly item: JsonObject }
  | { readonly kind: 'nowhere' };

/**
 * Asks a server where it has a prompt. The queue first: what ends between the two answers is in history by
 * the second.
 */
export async function findPrompt(client: ComfyClient, id: string): Promise<PromptPlace> {
  if (await isQueued(client, id)) return { kind: 'queued' };
  const item = await client.readHistory(id);
  return item === undefined ? { kind: 'nowhere' } : { kind: 'ended', item };
}

/** Whether it runs or waits there. */
async function isQueued(client: ComfyClient, id: string): Promise<boolean> {
  const { running, pending } = await client.readQueue();
  return running.includes(id) || pending.includes(id);
}

/** How a cancel went: the prompt's end as the server told it; it is no longer there; nobody knows. */
type Cancelled = Ending | 'gone' | 'unconfirmed';

/**
 * Stops one prompt, wherever it is on its way from waiting to running: both are asked again until the server
 * tells the end or no longer has it. One that does not answer, or does not stop, is given up after a while.
 */
export async function cancelPrompt(
  client: ComfyClient,
  id: string,
  ended: Promise<Ending>,
): Promise<Cancelled> {
  const answers = new IdleWatchdog(SILENCE_MS);
  const noteAnswer = (): void => {
    answers.touch();
  };
  const asking = { isOver: false };
  const askToEnd = async (): Promise<Cancelled> => {
    for (let attempt = 0; attempt < CANCEL_TRIES && !asking.isOver; attempt += 1) {
      await client.deletePending(id).then(noteAnswer, () => undefined);
      await client.interrupt(id).then(noteAnswer, () => undefined);
      // Unreferenced: it may outlive the job.
      const pause = sleep(CANCEL_EVERY_MS, undefined, { ref: false });
      const ending = await Promise.race([ended, pause]);
      if (ending !== undefined) return ending;
      if (!(await isQueued(client, id).catch(() => true))) return 'gone';
    }
    return 'unconfirmed';
  };
  const silence = answers.idle().then((): Cancelled => 'unconfirmed');
  const cancelled = await Promise.race([askToEnd(), silence]);
  asking.isOver = true;
  return cancelled;
}

/**
 * Does with a prompt what the reason for stopping its run asks for. After a shutdown, or when the claim is lost, it
 * goes on there for the run that has the job next. Out of the tier's time, or outrun, the job goes on elsewhere and
 * does not wait for this server.
 * @returns the stop as the server told it; undefined when it told nothing
 */
export async function stopPrompt(
  server: PromptServer,
  id: string,
  { reason, ended }: { readonly reason: unknown; readonly ended: Promise<Ending> },
): Promise<AttemptStopped | undefined> {
  if (!(reason instanceof Stopped)) {
    server.abandon(id);
    return undefined;
  }
  if (goesOnElsewhere({ reason })) return undefined;
  const cancelled = await cancelPrompt(server.client, id, ended);
  if (cancelled === 'unconfirmed') server.abandon(id);
  if (typeof cancelled !== 'object' || cancelled.kind !== 'failed') return undefined;
  return cancelled.error instanceof AttemptStopped ? cancelled.error : undefined;
}

/**
 * Takes an ended prompt off a server's history. ComfyUI tells how it ended (`execution_success`, `execution_error`,
 * `execution_interrupted`) before it moves the prompt from its queue to its history, and sends `executing` without a
 * node after that. An entry that is deleted before it is there stays. Never throws: it is tidying up.
 * @param isInHistory that last frame has come, or the entry was read: there is nothing to wait for
 */
export async function forgetPrompt(
  server: PromptServer,
  id: string,
  isInHistory: boolean,
): Promise<void> {
  const isStillQueued = () => isQueued(server.client, id);
  try {
    for (let look = 0; !isInHistory && look < LOOKS && (await isStillQueued()); look += 1) {
      await sleep(LOOK_EVERY_MS);
    }
    server.forget(id);
  } catch {
    // A server that is away has other troubles than an entry too many.
  }
}

/**
 * Takes ended prompts off a server's history, those of a while in one request: it is tidying up, and must not
 * compete with the jobs that are under way.
 */
export class HistoryDeletes {
  readonly #delete: (ids: readonly string[]) => Promise<void>;
  #ids: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(deleteThem: (ids: readonly string[]) => Promise<void>) {
    this.#delete = deleteThem;
  }

  add(id: string): void {
    this.#ids.push(id);
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, COLLECT_MS);
  }

  /** Does not wait any longer. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ids = this.#ids;
    this.#ids = [];
    // A server that is away has other troubles than some entries too many.
    if (ids.length > 0) this.#delete(ids).catch(() => undefined);
  }
}

/** Notices that a prompt has shown no sign of life for a while, or that signs of it may have been missed. */
export class IdleWatchdog {
  readonly #checkMs: number;
  #lastSign = Date.now();
  #wake: () => void = () => undefined;
  #isAwake = false;

  /** @param checkMs silence after which someone must look */
  constructor(checkMs: number) {
    this.#checkMs = checkMs;
  }

  /** A sign of life. */
  touch(): void {
    this.#lastSign = Date.now();
  }

  /** Signs may have been missed: who waits for silence, now or next, is woken at once. */
  wake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  /** Resolves after a while without signs, or (`gap`) when woken. */
  async idle(): Promise<'idle' | 'gap'> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    for (;;) {
      if (this.#isAwake) {
        this.#isAwake = false;
        return 'gap';
      }
      const before = this.#lastSign;
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<'paused'>((resolve) => {
        timer = startTimer(() => {
          resolve('paused');
        }, this.#checkMs);
        timer.unref(); // it outlives the prompt by up to its length
      });
      const first = await Promise.race([woken, pause]);
      clearTimeout(timer);
      if (first === 'paused' && this.#lastSign === before) return 'idle';
    }
  }
}
