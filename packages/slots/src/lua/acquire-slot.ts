import { RedisScript } from '@tiercel/runtime';

export interface SlotReply {
  /** Which of the resources, from 0; undefined when the lease has no slot. */
  readonly index: number | undefined;
  /** When the lease came, to be said the next time. */
  readonly came: string;
  /** When to ask again at the latest, in ms. */
  readonly askInMs: number;
}

/**
 * Takes a slot of the resource with the least to do of those that have one left for this lease: held slots count
 * double, the penalty once. One step, so that jobs that choose at the same moment do not all choose the same.
 * Without one the lease joins all their lines.
 */
export const acquireSlotScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'lease', 'lease_ms', 'limit', 'said', 'wait_ms'],
  list: 'resources',
  parse: (reply): SlotReply => {
    const [number, came, askInMs] = reply as [number, string, number];
    return { index: number === 0 ? undefined : number - 1, came, askInMs };
  },
});
