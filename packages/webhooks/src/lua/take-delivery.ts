import { RedisScript } from '@tiercel/runtime';

/** What is known of a receiver: its last delivery was accepted, there was none lately, it failed. */
export type ReceiverClass = 'good' | 'new' | 'bad';

/** A delivery that is to be made now, by whoever took it. */
export interface TakenDelivery {
  readonly id: string;
  readonly tenant: string;
  readonly jobId: string;
  readonly event: string;
  /** The tenant's webhook; '' for the job's own. */
  readonly webhookId: string;
  /** The job's own, sealed. */
  readonly hook: string;
  readonly body: string;
  /** When it was first to be delivered, or last asked for by hand; by Redis' clock, in epoch ms. */
  readonly sinceMs: number;
  /** By Redis' clock, in epoch ms. */
  readonly takenAtMs: number;
  /** Tries before this one since then. */
  readonly tries: number;
  /** The last tries, JSON. */
  readonly attemptsText: string;
}

/** A turn gets a delivery: the one that it had before, else the next whose turn it is. */
export const takeDeliveryScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'turn', 'claim', 'limits_json'],
  list: 'classes',
  parse: parseTakenDelivery,
});

function parseTakenDelivery(
  reply: unknown,
): { readonly delivery: TakenDelivery; readonly receiverClass: ReceiverClass } | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [id, kind, now, tenant, job, event, webhook, hook, ...rest] = reply as (string | null)[];
  const [body, since, tries, attempts] = rest;
  return {
    receiverClass: kind as ReceiverClass, // as the script was asked for
    delivery: {
      id: id ?? '',
      tenant: tenant ?? '',
      jobId: job ?? '',
      event: event ?? '',
      webhookId: webhook ?? '',
      hook: hook ?? '',
      body: body ?? '',
      sinceMs: Number(since),
      takenAtMs: Number(now),
      tries: Number(tries),
      attemptsText: attempts ?? '[]',
    },
  };
}
