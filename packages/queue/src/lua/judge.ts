import { RedisScript } from '@tiercel/runtime';
import { parseWake } from '../wake.ts';

/**
 * Says anew which workers waiting jobs are for. Replies how many permits must be added; undefined when somebody judges
 * for other workers by now.
 */
export const judgeScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'max_waiting', 'fleet'],
  list: 'verdicts',
  parse: (reply) => {
    const [permits, ...wake] = reply as [number, ...unknown[]];
    return permits === -1 ? undefined : { permits, wake: parseWake(wake) };
  },
});
