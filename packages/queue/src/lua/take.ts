import { RedisScript } from '@tiercel/runtime';
import { parseWake } from '../wake.ts';

/** A permit was delivered: the job it had before (its worker died), else the next one whose turn it is. */
export const takeScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'permit', 'worker', 'claim'],
  parse: (reply) => {
    const [job, ...wake] = reply as [unknown, ...unknown[]];
    return { job, wake: parseWake(wake) };
  },
});
