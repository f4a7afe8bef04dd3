import { RedisScript } from '@tiercel/runtime';

/** Gives a slot back and wakes those that wait for it, with what the attempt said of its tier. */
export const endAttemptScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...(['prefix', 'tier', 'lease', 'signal', 'took_ms', 'open_ms', 'reason', 'failures'] as const),
    ...(['first_pause_ms', 'longest_pause_ms', 'samples', 'idle_ms'] as const),
  ],
  parse: () => undefined,
});
