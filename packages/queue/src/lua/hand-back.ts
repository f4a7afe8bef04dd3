import { RedisScript } from '@tiercel/runtime';
import { parseWake } from '../wake.ts';

/** Puts a running job back in its old place in the queue. Replies whether a permit must be added. */
export const handBackScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'claim', 'counts', 'declined', 'kind', 'preempted'],
  parse: (reply) => {
    const [needsPermit, ...wake] = reply as [0 | 1, ...unknown[]];
    return { needsPermit: needsPermit === 1, wake: parseWake(wake) };
  },
});
