import type { JsonObject } from '@tiercel/contracts';

/** The two questions that tell where a prompt is. */
export interface PromptRegister {
  /** The item of a prompt that has ended; undefined when the server knows of no such end. */
  readHistory(id: string): Promise<JsonObject | undefined>;
  /** Ids that run or wait. */
  readQueue(): Promise<{
    readonly running: readonly string[];
    readonly pending: readonly string[];
  }>;
}

/** Where a server has a prompt. */
export type PromptPlace =
  | { readonly kind: 'queued' }
  | { readonly kind: 'ended'; readonly item: JsonObject }
  | { readonly kind: 'nowhere' };

/**
 * Asks a server where it has a prompt. The queue first: what ends between the two answers is in history by
 * the second.
 */
export async function findPrompt(server: PromptRegister, id: string): Promise<PromptPlace> {
  if (await isQueued(server, id)) return { kind: 'queued' };
  const item = await server.readHistory(id);
  return item === undefined ? { kind: 'nowhere' } : { kind: 'ended', item };
}

/** Whether it runs or waits there. */
export async function isQueued(
  server: Pick<PromptRegister, 'readQueue'>,
  id: string,
): Promise<boolean> {
  const { running, pending } = await server.readQueue();
  return running.includes(id) || pending.includes(id);
}
