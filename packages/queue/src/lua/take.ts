import type { JobId } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { parseWake } from '../wake.ts';

/**
 * A permit was delivered: the job it had before (its worker died), else the next one whose turn it is. `other` is a job
 * that it had before and that this worker cannot run.
 */
export const takeScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'permit', 'worker', 'profile', 'claim'],
  parse: (reply) => {
    const [job, ...rest] = reply as [unknown, ...unknown[]];
    if (job !== 'other') return { job, wake: parseWake(rest) };
    const [id, claim] = rest as [JobId, string];
    return { other: { id, claim } };
  },
});
