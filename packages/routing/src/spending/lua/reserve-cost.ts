import { RedisScript } from '@tiercel/runtime';

/** What a tenant has spent and reserved, in millionths. */
export interface Ledger {
  readonly dayMicros: number;
  readonly monthMicros: number;
  /** By other jobs of it that run. */
  readonly reservedMicros: number;
}

export type ReserveReply =
  { readonly kind: 'void' } | ({ readonly kind: 'reserved' | 'not-reserved' } & Ledger);

/** Reserves what the run of a job costs, if its tenant may still spend that, or only looks. */
export const reserveCostScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'id', 'claim', 'amount', 'day_budget', 'month_budget', 'is_forced'],
  parse: (reply): ReserveReply => {
    const [state, ...numbers] = reply as [0 | 1 | 2, ...string[]];
    const [dayMicros = 0, monthMicros = 0, reservedMicros = 0] = numbers.map(Number);
    if (state === 0) return { kind: 'void' };
    const kind = state === 1 ? 'reserved' : 'not-reserved';
    return { kind, dayMicros, monthMicros, reservedMicros };
  },
});
