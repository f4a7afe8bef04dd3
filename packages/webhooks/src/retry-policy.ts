import type { WebhooksConfig } from '@tiercel/runtime';
import type { DeliveryOutcome } from './lua/settle-delivery.ts';
import type { SendResult } from './send-webhook.ts';

/** Pauses differ by up to this share, so that what failed together does not come back together. */
const JITTER = 0.1;

export interface Try {
  /** Tries before this one. */
  readonly tries: number;
  /** Since the delivery was first to be made. */
  readonly ageMs: number;
  readonly isProgress: boolean;
  readonly result: SendResult;
}

export interface Judgement {
  readonly outcome: DeliveryOutcome;
  /** Before the next try. */
  readonly pauseMs: number;
  /** A word for the log; '' for a delivery. */
  readonly reason: string;
  /** The receiver says that it is gone for good. */
  readonly isGone: boolean;
}

/**
 * What becomes of a delivery after a try. Only 2xx is a delivery: a redirect is not followed, and a 4xx may be a
 * receiver that is being deployed. 410 says that nobody wants to be told any more.
 * @param random from 0 to 1
 */
export function judgeTry(
  { tries, ageMs, isProgress, result }: Try,
  policy: Pick<WebhooksConfig, 'retryFirstMs' | 'retryMaxMs' | 'retryForMs'>,
  random: number,
): Judgement {
  const is = (
    outcome: DeliveryOutcome,
    reason: string,
    pauseMs = 0,
    isGone = false,
  ): Judgement => ({
    ...{ outcome, reason, isGone },
    pauseMs: Math.round(pauseMs),
  });
  const status = 'status' in result ? result.status : undefined;
  if (status !== undefined && status >= 200 && status < 300) return is('delivered', '');
  const reason = 'code' in result ? result.code : `status_${result.status}`;
  if (status === 410) return is('dead', 'gone', 0, true);
  if (isProgress) return is('dropped', reason);
  if (reason === 'address_refused') return is('dead', reason);
  const leftMs = policy.retryForMs - ageMs;
  if (leftMs <= 0) return is('dead', reason);
  const doubled = Math.min(policy.retryFirstMs * 2 ** Math.min(tries, 40), policy.retryMaxMs);
  const jittered = doubled * (1 + JITTER * (2 * random - 1));
  const wished = 'retryAfterMs' in result ? (result.retryAfterMs ?? 0) : 0;
  // One last try when the time is up, however long the pause would have been.
  return is(
    'retry',
    reason,
    Math.min(Math.max(jittered, Math.min(wished, policy.retryMaxMs)), leftMs),
  );
}
