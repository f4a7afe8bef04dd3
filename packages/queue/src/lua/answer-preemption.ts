import { RedisScript } from '@tiercel/runtime';

/** Says whether a run that is to make room goes back or on. Replies whether it was to. */
export const answerPreemptionScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'claim', 'goes_on'],
  parse: (reply) => reply === 1,
});
