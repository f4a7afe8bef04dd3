import { RedisScript } from '@tiercel/runtime';

/** What a follower waits for: one command, so that entry and lease are seen together. */
export const watchFlightScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['entry', 'flight'],
  args: ['leader'],
  parse: (reply) => reply as 'stored' | 'flying' | 'leader_gone',
});
