import { RedisScript } from '@tiercel/runtime';

export type EnqueueReply =
  | { readonly kind: 'ok'; readonly number: number }
  /** The id was accepted before, with the same body. */
  | { readonly kind: 'same'; readonly number: number; readonly nodeErrorsText: string }
  /** The id was accepted before, with another body. */
  | { readonly kind: 'conflict' }
  /** The Idempotency-Key was used before, with the same body: another id was accepted then. */
  | {
      readonly kind: 'replay';
      readonly id: string;
      readonly number: number;
      readonly nodeErrorsText: string;
    }
  /** The same, with another body. */
  | { readonly kind: 'reused' }
  | { readonly kind: 'full'; readonly pending: number; readonly service: ServiceRate }
  /** So many jobs of the tenant wait already. */
  | { readonly kind: 'over'; readonly pending: number; readonly service: ServiceRate }
  /** So many jobs of the tenant were accepted today (UTC). */
  | { readonly kind: 'spent'; readonly posted: number; readonly dayLeftMs: number }
  /** What the tenant has spent in the period leaves no room for the job, whichever tier would run it. */
  | {
      readonly kind: 'poor';
      readonly spentMicros: number;
      readonly period: 'day' | 'month';
      readonly leftMs: number;
    }
  /** The pending jobs hold so many bytes that this one has no room. */
  | { readonly kind: 'heavy'; readonly bytes: number; readonly service: ServiceRate };

/** How fast jobs are served. */
export interface ServiceRate {
  /** Jobs that ended within `spanMs`, over all tenants. */
  readonly ended: number;
  readonly spanMs: number;
  /** Tenants whose jobs wait. */
  readonly sharers: number;
}

/** Accepts a prompt: writes the record and puts it among the pending, in one step. */
export const enqueueScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...([
      'prefix',
      'call',
      'id',
      'body_hash',
      'given_number',
      'front',
      'tenant',
      'client',
    ] as const),
    ...([
      'serial',
      'max_pending',
      'max_bytes',
      'workflow',
      'prompt',
      'extra',
      'targets',
      'node_errors',
    ] as const),
    ...(['secrets', 'limits', 'signature', 'estimate_ms', 'priority'] as const),
    ...(['hook', 'hook_events'] as const),
    ...(['replay', 'most_pending', 'most_a_day'] as const),
    ...(['least_cost', 'day_budget', 'month_budget'] as const),
    ...(['kind', 'needs', 'fleet'] as const),
  ],
  parse: (reply): EnqueueReply => {
    const [kind, fact, ...more] = reply as [EnqueueReply['kind'], ...(string | number)[]];
    const [nodeErrorsText = '{}', id = ''] = more.map(String);
    const [ended = 0, spanMs = 0, sharers = 0] = more.map(Number);
    const period = more[1] === 'month' ? 'month' : 'day';
    const service = { ended, spanMs, sharers };
    switch (kind) {
      case 'ok':
        return { kind, number: Number(fact) };
      case 'same':
        return { kind, number: Number(fact), nodeErrorsText };
      case 'replay':
        return { kind, id, number: Number(fact), nodeErrorsText };
      case 'over':
        return { kind, pending: Number(fact), service };
      case 'spent':
        return { kind, posted: Number(fact), dayLeftMs: ended };
      case 'poor':
        return { kind, spentMicros: Number(fact), leftMs: ended, period };
      case 'full':
        return { kind, pending: Number(fact), service };
      case 'heavy':
        return { kind, bytes: Number(fact), service };
      case 'reused':
      case 'conflict':
        return { kind };
    }
  },
});
