import { RedisScript } from '@tiercel/runtime';
import { parseWake } from '../wake.ts';

/** Lets pending jobs be taken. Replies how many permits must be added. */
export const releaseScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'max_waiting'],
  list: 'ids',
  parse: (reply) => {
    const [permits, ...wake] = reply as [number, ...unknown[]];
    return { permits, wake: parseWake(wake) };
  },
});
