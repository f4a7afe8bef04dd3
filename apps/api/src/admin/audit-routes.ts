import type { AuditEntry, AuditLog } from '@tiercel/accounts';
import { z } from 'zod';
import { describeRoute, describeTextRoute, type AdminRoute } from './admin-route.ts';
import { iso } from './shown.ts';

const MAX_PAGE = 1_000;
const said = z.unknown().nullable();
const entryShown = z.object({
  id: z.string(),
  at: z.iso.datetime(),
  who: z.string().describe('A key’s id, `admin`, a tenant, or `command line`'),
  from: z.string().describe('An address, or a host'),
  action: z.string(),
  target: z.string(),
  before: said,
  after: said,
});

/** What administrators have changed. */
export function createAuditRoutes(audit: AuditLog): AdminRoute[] {
  return [
    describeRoute({
      ...{ method: 'GET', path: '/audit', tag: 'audit', summary: 'Changes, the newest first' },
      query: z.object({
        limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
        before: z
          .string()
          .regex(/^\d+-\d+$/, 'must be the id of an entry')
          .optional()
          .describe('Only older ones than this: `next` of the page before'),
      }),
      answer: z.object({ entries: z.array(entryShown), next: z.string().nullable() }),
      handle: async ({ query: { limit, before } }) => {
        const entries = await audit.readPage(limit, before);
        const next = entries.length < limit ? null : (entries.at(-1)?.id ?? null);
        return { entries: entries.map(showEntry), next };
      },
    }),
    describeTextRoute({
      ...{ method: 'GET', path: '/audit/export', tag: 'audit' },
      summary: 'All that is kept, the oldest first, one JSON object a line',
      ...{ media: 'application/x-ndjson', fileName: 'audit.ndjson' },
      handle: async function* () {
        for await (const entries of audit.export()) {
          yield entries.map((entry) => `${JSON.stringify(showEntry(entry))}\n`).join('');
        }
      },
    }),
  ];
}

function showEntry({ at, ...entry }: AuditEntry): z.infer<typeof entryShown> {
  return { ...entry, at: iso(at) ?? '' };
}
