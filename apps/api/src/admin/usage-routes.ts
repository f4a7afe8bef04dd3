import { sumByTier, type UsageStore } from '@tiercel/accounts';
import { MICROS } from '@tiercel/contracts';
import { z } from 'zod';
import { CSV_HEAD, toCsv } from '../usage/csv.ts';
import { daysQuery, listDays, type Days } from '../usage/days.ts';
import { amountsShown, rowShown, showRow, showTier, showTotal, tierShown } from '../usage/shown.ts';
import { describeTableRoute, type AdminRoute } from './admin-route.ts';

const MAX_PAGE = 5_000;
const MAX_TOP = 1_000;

const topShown = z.object({ tenant: z.string(), run_seconds: z.number(), cost: z.number() });

/** What tenants have used. */
export function createUsageAdminRoutes(usage: UsageStore, keptDays: number): AdminRoute[] {
  const readDays = async (query: Parameters<typeof listDays>[0]): Promise<Days> =>
    listDays(query, await usage.readToday());
  return [
    describeTableRoute({
      ...{ method: 'GET', path: '/usage', tag: 'usage' },
      summary: 'What tenants have used, by day and tier, with totals and the top tenants',
      query: z.object({
        ...daysQuery,
        tenant: z.string().optional().describe('Only this one, all its days'),
        limit: z.coerce
          .number()
          .int()
          .min(1)
          .max(MAX_PAGE)
          .default(500)
          .describe('Tenants and days in a page'),
        after: z.string().optional().describe('`next` of the page before'),
        top: z.coerce.number().int().min(0).max(MAX_TOP).default(10).describe('Top tenants'),
        by: z.enum(['cost', 'run_seconds']).default('cost').describe('What makes a top tenant'),
      }),
      answer: z.object({
        from: z.iso.date(),
        to: z.iso.date(),
        kept_days: z.number().int().describe('Days for which usage is kept; 0: it is not'),
        total: amountsShown,
        tiers: z.array(tierShown),
        top: z.array(topShown),
        usage: z.array(rowShown),
        next: z.string().nullable(),
      }),
      handle: async ({ query }) => {
        const { from, to, days } = await readDays(query);
        const head = { from, to, kept_days: keptDays };
        if (query.tenant !== undefined) {
          const rows = await usage.readTenant(query.tenant, days);
          const [total, tiers] = [showTotal(rows), sumByTier(rows).map(showTier)];
          return { ...head, total, tiers, top: [], usage: rows.map(showRow), next: null };
        }
        const by = query.by === 'cost' ? 'cost' : 'ran';
        const [totals, top, page] = await Promise.all([
          usage.readTotals(days),
          query.top === 0 ? [] : usage.readTop(days, by, query.top),
          usage.readPage(days, query.limit, query.after),
        ]);
        return {
          ...head,
          total: showTotal(totals),
          tiers: totals.map(showTier),
          top: top.map(({ tenant, runMs, costMicros }) => ({
            ...{ tenant, run_seconds: runMs / 1_000, cost: costMicros / MICROS },
          })),
          usage: page.rows.map(showRow),
          next: page.next ?? null,
        };
      },
      csv: {
        fileName: 'usage.csv',
        handle: async function* ({ query }) {
          const { days } = await readDays(query);
          yield CSV_HEAD;
          if (query.tenant !== undefined) yield toCsv(await usage.readTenant(query.tenant, days));
          else for await (const rows of usage.export(days)) yield toCsv(rows);
        },
      },
    }),
  ];
}
