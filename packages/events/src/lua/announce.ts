import { RedisScript } from '@tiercel/runtime';

/** One heartbeat of a worker, noted by Redis' clock: clocks of workers differ. */
export const announceScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...([
      'prefix',
      'worker',
      'text',
      'ttl_ms',
      'catalogue',
      'catalogue_ttl_ms',
      'is_news',
    ] as const),
    ...(['profile', 'known_ms', 'is_drained'] as const),
  ],
  parse: () => undefined,
});
