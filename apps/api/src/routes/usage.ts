import type { PolicyStore, UsageStore } from '@tiercel/accounts';
import { DEFAULT_TENANT, MICROS, type Caller } from '@tiercel/contracts';
import { z } from 'zod';
import { sendJson } from '../http/answer.ts';
import { checkValues, readQuery } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import { callerOf } from '../identity/caller-of.ts';
import { daysQuery, listDays } from '../usage/days.ts';
import { showRow, showTotal } from '../usage/shown.ts';

export interface UsageDependencies {
  readonly usage: UsageStore;
  readonly policy: Pick<PolicyStore, 'effectivePlan'>;
  /** Days for which usage is kept; 0: it is not. */
  readonly keptDays: number;
}

const querySchema = z.object(daysQuery);

/** GET /api/usage: what the caller's tenant has used, and what is left of its budget. */
export function createUsageRoutes(deps: UsageDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/usage',
      prefix: 'api',
      handle: async (req, res) => {
        const { usage, keptDays } = deps;
        const caller = callerOf(res);
        const asked = checkValues(querySchema, Object.fromEntries(readQuery(req)), 'the query');
        const today = await usage.readToday();
        const { from, to, days } = listDays(asked, today);
        const rows = await usage.readTenant(caller.tenant, days);
        res.setHeader('Cache-Control', 'no-store');
        sendJson(res, {
          ...{ tenant: caller.tenant, from, to, kept_days: keptDays },
          total: showTotal(rows),
          usage: rows.map((row) => ({ ...showRow(row), tenant: undefined })),
          budget: await describeBudget(caller, today, deps),
        });
      },
    },
  ];
}

async function describeBudget(
  { tenant, plan, role }: Caller,
  today: string,
  { usage, policy }: UsageDependencies,
): Promise<object> {
  const isLimited = tenant !== DEFAULT_TENANT && role !== 'internal';
  const budget = isLimited ? policy.effectivePlan(tenant, plan).budget : {};
  const spent = await usage.readSpent(tenant, today);
  const ends = periodEnds(today);
  const show = (period: 'day' | 'month') => {
    const limit = budget[period];
    if (limit === undefined) return null;
    const left = Math.max(0, Math.round(limit * MICROS) - spent[period]) / MICROS;
    return { limit, spent: spent[period] / MICROS, left, resets: ends[period] };
  };
  return { day: show('day'), month: show('month') };
}

/** When the present day and month end, UTC. */
function periodEnds(today: string): { readonly day: string; readonly month: string } {
  const [year = 0, month = 1, day = 1] = today.split('-').map(Number);
  return {
    day: new Date(Date.UTC(year, month - 1, day + 1)).toISOString(),
    month: new Date(Date.UTC(year, month, 1)).toISOString(),
  };
}
