import { POLICY_SCHEMAS, type AuditLog, type PolicyStore } from '@tiercel/accounts';
import { API_STATUS, AppError, DEFAULT_POOL } from '@tiercel/contracts';
import type { LiveWorker } from '@tiercel/events';
import type { Editor, Estimate, JobView, Reader, TenantLoads } from '@tiercel/queue';
import { z } from 'zod';
import type { JobEstimates } from '../job-estimates.ts';
import { planOf } from '../plan-loads.ts';
import { describeRoute, describeSilentRoute, type AdminRoute } from './admin-route.ts';
import { iso, show, shownSchema } from './shown.ts';

export interface QueueRouteParts {
  readonly policy: PolicyStore;
  readonly audit: AuditLog;
  readonly reader: Reader;
  readonly editor: Editor;
  readonly estimates: Pick<JobEstimates, 'of'>;
  readonly loads: TenantLoads;
  /** Those that are up. */
  readonly workers: () => readonly LiveWorker[];
}

const MAX_PAGE = 1_000;
const OPEN_STATES = ['pending', 'running'] as const;
const pageQuery = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
});
/** Whose job is meant; needed only when several tenants have one of that id. */
const tenantQuery = z.object({ tenant: z.string().min(1).max(128).optional() });
const jobShown = z.object({
  id: z.string(),
  tenant: z.string(),
  status: z.enum(Object.values(API_STATUS)),
  number: z.number(),
  created_at: z.iso.datetime(),
  position: z.number().int().nullable().describe('Among the waiting jobs of its tenant, from 1'),
  ahead: z
    .number()
    .int()
    .nullable()
    .describe('Jobs of all tenants that are expected to start before it'),
  expected_start: z.iso.datetime().nullable().describe('null: it runs, or nothing is known'),
  expected_end: z.iso.datetime().nullable(),
});
const TENANT_ORDERS = ['pending', 'running'] as const;
const tenantShown = z.object({
  tenant: z.string(),
  plan: z.string().nullable().describe('null: it has no limits'),
  pending: z.number().int(),
  running: z.number().int(),
});
const poolName = z.string().regex(/^[\w.-]{1,64}$/, 'must be the name of a pool');

/** The queue as a whole: who waits, pausing, and single jobs. */
export function createQueueAdminRoutes(parts: QueueRouteParts): AdminRoute[] {
  const { policy, audit, reader, editor, estimates, loads, workers } = parts;
  const poolShown = shownSchema(POLICY_SCHEMAS.pools).extend({
    workers: z.number().int().describe('Live workers'),
    running: z.number().int().describe('Jobs that they run, as they said last (5 s)'),
  });
  const queueShown = z.object({
    pending: z.number().int(),
    running: z.number().int(),
    pools: z.array(poolShown),
  });
  const listPools = () => [
    ...new Set([DEFAULT_POOL, ...workers().map(({ pool }) => pool), ...policy.listNames('pools')]),
  ];
  const showPool = (name: string) => {
    const members = workers().filter(({ pool }) => pool === name);
    const running = members.reduce((sum, worker) => sum + worker.running, 0);
    return { ...show(policy, 'pools', name), workers: members.length, running };
  };
  const showQueue = async () => ({
    ...(await reader.countWholeQueue()),
    pools: listPools().map(showPool),
  });
  const requirePool = (name: string): void => {
    if (listPools().includes(name)) return;
    throw new AppError(
      'not_found',
      `There is no pool ${JSON.stringify(name)}, only ${listPools().join(', ')}.`,
    );
  };
  return [
    describeRoute({
      ...{ method: 'GET', path: '/queue', tag: 'queue', summary: 'Counts, and every pool' },
      answer: queueShown,
      handle: showQueue,
    }),
    describeRoute({
      ...{ method: 'GET', path: '/queue/jobs', tag: 'queue' },
      summary: 'What runs and waits, in the order in which it was posted',
      query: pageQuery.extend(tenantQuery.shape),
      answer: z.object({ jobs: z.array(jobShown), total: z.number().int() }),
      handle: async ({ query: { tenant, ...range } }) => {
        if (tenant === undefined) {
          const { jobs, total } = await reader.readWholeQueue(range);
          return { jobs: await showJobs(jobs, estimates), total };
        }
        const own = reader.of(tenant);
        const page = {
          states: OPEN_STATES,
          sortBy: 'created',
          descending: false,
          ...range,
        } as const;
        const { ids, total } = await own.listJobIds(page);
        const jobs: z.infer<typeof jobShown>[] = [];
        for await (const views of own.streamViews(ids)) {
          jobs.push(...(await showJobs(views, estimates)));
        }
        return { jobs, total };
      },
    }),
    describeRoute({
      ...{ method: 'GET', path: '/queue/tenants', tag: 'queue' },
      summary: 'Tenants with jobs in the queue, those with most first',
      query: z.object({
        sort: z.enum(TENANT_ORDERS).default('pending'),
        limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(20),
      }),
      answer: z.object({ tenants: z.array(tenantShown), total: z.number().int() }),
      handle: async ({ query: { sort, limit } }) => {
        const found = (await loads.read()).map((load): z.infer<typeof tenantShown> => ({
          ...{ tenant: load.tenant, plan: planOf(load, policy) ?? null },
          ...{ pending: load.pending, running: load.running },
        }));
        found.sort((a, b) => b[sort] - a[sort] || (a.tenant < b.tenant ? -1 : 1));
        return { tenants: found.slice(0, limit), total: found.length };
      },
    }),
    ...POOL_ACTIONS.map(({ action, summary, setting }) =>
      describeRoute({
        ...{ method: 'POST', path: `/queue/${action}`, tag: 'queue', answer: queueShown },
        summary,
        errors: ['not_found'],
        body: z.strictObject({ pool: poolName.optional().describe('Without it: all pools') }),
        handle: async ({ body: { pool }, actor }) => {
          if (pool !== undefined) requirePool(pool);
          for (const name of pool === undefined ? listPools() : [pool]) {
            const { override = {} } = policy.read('pools', name);
            await policy.set('pools', name, { ...override, ...setting }, actor);
          }
          return await showQueue();
        },
      }),
    ),
    describeRoute({
      ...{ method: 'GET', path: '/pools', tag: 'queue', summary: 'All pools of workers' },
      answer: z.object({ pools: z.array(poolShown) }),
      handle: () => Promise.resolve({ pools: listPools().map(showPool) }),
    }),
    describeRoute({
      ...{ method: 'GET', path: '/pools/:name', tag: 'queue', summary: 'A pool of workers' },
      ...{ answer: poolShown, errors: ['not_found'] },
      handle: ({ param }) => {
        requirePool(param('name'));
        return Promise.resolve(showPool(param('name')));
      },
    }),
    describeRoute({
      ...{ method: 'PUT', path: '/pools/:name', tag: 'queue', errors: ['not_found'] },
      summary: 'Sets what counts for a pool over the file’s word',
      ...{ body: POLICY_SCHEMAS.pools, answer: poolShown },
      handle: async ({ param, body, actor }) => {
        requirePool(param('name'));
        requireTiers(policy, param('name'), body.tiers ?? []);
        await policy.set('pools', param('name'), body, actor);
        return showPool(param('name'));
      },
    }),
    describeSilentRoute({
      ...{ method: 'DELETE', path: '/pools/:name', tag: 'queue', errors: ['not_found'] },
      summary: 'Takes back what was set of a pool',
      handle: async ({ param, actor }) => {
        requirePool(param('name'));
        await policy.reset('pools', param('name'), actor);
      },
    }),
    describeRoute({
      ...{ method: 'POST', path: '/jobs/:id/move', tag: 'jobs' },
      summary: 'Moves a waiting job among those of its tenant',
      errors: ['not_found', 'job_ambiguous', 'job_not_pending'],
      query: tenantQuery,
      body: z.union(
        [
          z.strictObject({
            front: z.literal(true).describe('Before all that have counted numbers'),
          }),
          z.strictObject({ number: z.number().describe('As `number` of POST /prompt') }),
        ],
        { error: 'It must be {"front": true} or {"number": <a number>}' },
      ),
      answer: z.object({ id: z.string(), number: z.number() }),
      handle: async ({ param, query, body, actor }) => {
        const id = param('id');
        const { tenant, state, number: before } = await requireJob(reader, id, query.tenant);
        if (state === 'pending') {
          const change = { before: { tenant, number: before }, after: { tenant, ...body } };
          await audit.write('jobs.move', id, change, actor);
          const number = await editor.of(tenant).move(id, 'number' in body ? body.number : 'front');
          if (number !== undefined) return { id, number };
        }
        throw new AppError('job_not_pending', `The job ${JSON.stringify(id)} does not wait.`);
      },
    }),
    describeRoute({
      ...{ method: 'POST', path: '/jobs/:id/cancel', tag: 'jobs' },
      errors: ['not_found', 'job_ambiguous'],
      query: tenantQuery,
      summary: 'Removes a waiting job, stops a running one',
      answer: z.object({
        id: z.string(),
        cancelled: z.boolean().describe('false: it had ended already'),
      }),
      handle: async ({ param, query, actor }) => {
        const id = param('id');
        const { tenant, state, number } = await requireJob(reader, id, query.tenant);
        if (state !== 'pending' && state !== 'running') return { id, cancelled: false };
        const change = { before: { tenant, status: API_STATUS[state], number }, after: null };
        await audit.write('jobs.cancel', id, change, actor);
        return { id, cancelled: (await editor.of(tenant).cancel([id])) > 0 };
      },
    }),
  ];
}

const POOL_ACTIONS = [
  {
    action: 'pause',
    summary: 'Starts no more jobs, in one pool or in all; what runs goes on, new jobs wait',
    setting: { paused: true },
  },
  {
    action: 'drain',
    summary:
      'Starts no more jobs, and takes none for later: they go to other pools, and what none of these can run is refused',
    setting: { drain: true },
  },
  {
    action: 'resume',
    summary: 'Starts jobs again, after a pause or a drain',
    setting: { paused: false, drain: false },
  },
] as const;

/**
 * What a worker connects to is decided at its start, by its file.
 * @throws AppError bad_request
 */
function requireTiers(policy: PolicyStore, pool: string, named: readonly string[]): void {
  const { file } = policy.read('pools', pool);
  const known = file?.tiers ?? policy.listNames('tiers');
  const [unknown] = named.filter((tier) => !known.includes(tier));
  if (unknown === undefined) return;
  throw new AppError(
    'bad_request',
    `tiers: the file gives workers of this pool ${known.join(', ')}, and not ${unknown}.`,
  );
}

/** @throws AppError not_found; job_ambiguous when several tenants have a job of this id and none was named */
async function requireJob(reader: Reader, id: string, named: string | undefined): Promise<JobView> {
  const tenants = named === undefined ? await reader.findTenants(id) : [named];
  if (tenants.length > 1) {
    throw new AppError(
      'job_ambiguous',
      `${tenants.length} tenants have a job ${JSON.stringify(id)}: say which with ?tenant=.`,
    );
  }
  for (const tenant of tenants) {
    for await (const [job] of reader.of(tenant).streamViews([id]))
      if (job !== undefined) return job;
  }
  const whose = named === undefined ? '' : ` of the tenant ${JSON.stringify(named)}`;
  throw new AppError('not_found', `There is no job ${JSON.stringify(id)}${whose}.`);
}

/** Tenants whose jobs are estimated at the same time. */
const TENANTS_AT_ONCE = 32;

async function showJobs(
  jobs: readonly JobView[],
  estimates: QueueRouteParts['estimates'],
): Promise<z.infer<typeof jobShown>[]> {
  const tenants = [...new Set(jobs.map(({ tenant }) => tenant))];
  const found = new Map<string, ReadonlyMap<string, Estimate>>();
  for (let at = 0; at < tenants.length; at += TENANTS_AT_ONCE) {
    await Promise.all(
      tenants.slice(at, at + TENANTS_AT_ONCE).map(async (tenant) => {
        const own = jobs.filter((job) => job.tenant === tenant);
        found.set(tenant, await estimates.of(own, tenant));
      }),
    );
  }
  return jobs.map((job) => showJob(job, found.get(job.tenant)?.get(job.id)));
}

function showJob(
  { id, tenant, state, number, createdAt }: JobView,
  estimate: Estimate | undefined,
): z.infer<typeof jobShown> {
  return {
    ...{ id, tenant, status: API_STATUS[state], number, created_at: iso(createdAt) ?? '' },
    position: estimate?.position ?? null,
    ahead: estimate?.ahead ?? null,
    expected_start: iso(estimate?.startMs),
    expected_end: iso(estimate?.endMs),
  };
}
