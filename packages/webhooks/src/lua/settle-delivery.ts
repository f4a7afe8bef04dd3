import { RedisScript } from '@tiercel/runtime';

/** What becomes of a delivery after a try. */
export type DeliveryOutcome =
  | 'delivered'
  /** Tried again later. */
  | 'retry'
  /** Given up: among the dead letters. */
  | 'dead'
  /** Progress that failed, or a webhook that is no more: nobody misses it. */
  | 'dropped';

/** Writes down how a try ended and makes room for the next one. Replies whether the claim was valid. */
export const settleDeliveryScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...(['prefix', 'turn', 'claim', 'outcome', 'health', 'pause_ms'] as const),
    ...(['reason', 'attempts', 'limits_json'] as const),
  ],
  parse: (reply) => reply === 1,
});
