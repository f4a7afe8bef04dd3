import { RedisScript } from '@tiercel/runtime';

/** A permit was delivered: the job it had before (its worker died), else the next one whose turn it is. */
export const takeScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'permit', 'worker', 'claim'],
  parse: (reply) => reply,
});
