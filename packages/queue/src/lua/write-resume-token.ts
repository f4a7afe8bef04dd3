import { RedisScript } from '@tiercel/runtime';

/** Writes on the record where the work is done, so that the next attempt can go on with it. */
export const writeResumeTokenScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'claim', 'resume_token'],
  parse: (reply) => reply === 1,
});
