import { RedisScript } from '@tiercel/runtime';

export interface Versions {
  /** Redis' clock, in ms. */
  readonly nowMs: number;
  /** Counts changes of keys. */
  readonly keys: string;
  /** Counts changes of policies. */
  readonly policy: string;
}

/** What every process asks all the time: whether anything has changed that it does not know of. */
export const readVersionsScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix'],
  parse: (reply): Versions => {
    const [nowMs, keys, policy] = reply as [number, string, string]; // as the script returns it
    return { nowMs, keys, policy };
  },
});
