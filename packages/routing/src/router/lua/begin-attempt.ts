import { RedisScript } from '@tiercel/runtime';

/** Limits that are no numbers of slots. */
export const NO_LIMIT = 0;
export const ENTER_ANYHOW = -1;

export interface BeginReply {
  readonly answer: 'ok' | 'probe' | 'open' | 'full';
  /** When the lease came, to be said the next time. */
  readonly came: string;
  /** `full`: when to ask again at the latest, in ms. */
  readonly askInMs: number;
  /** `full`: those in the tier's line before it. */
  readonly ahead: number;
}

/**
 * Takes a slot of a tier, and the probe of a breaker whose pause is over. Without a slot the lease joins the
 * line of the tier, and of others that would do as well.
 */
export const beginAttemptScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'tier', 'lease', 'lease_ms', 'limit', 'said', 'wait_ms'],
  list: 'others',
  parse: (reply): BeginReply => {
    const [answer, came, askInMs, ahead] = reply as [
      BeginReply['answer'],
      ...[string, number, number],
    ];
    return { answer, came, askInMs, ahead };
  },
});
