import { RedisScript } from '@tiercel/runtime';

/** Notes that an API key was used, unless a process did so a moment ago. */
export const noteKeyUseScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'hash', 'every_ms'],
  parse: () => undefined,
});
