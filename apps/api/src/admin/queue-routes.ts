import { POLICY_SCHEMAS, type AuditLog, type PolicyStore } from '@tiercel/accounts';
import { API_STATUS, AppError, DEFAULT_POOL, JOB_STATES } from '@tiercel/contracts';
import type { LiveWorker } from '@tiercel/events';
import type { Editor, JobView, Reader } from '@tiercel/queue';
import { z } from 'zod';
import { describeRoute, describeSilentRoute, type AdminRoute } from './admin-route.ts';
import { iso, show, shownSchema } from './shown.ts';

export interface QueueRouteParts {
  readonly policy: PolicyStore;
  readonly audit: AuditLog;
  readonly reader: Reader;
  readonly editor: Editor;
  /** Those that are up. */
  readonly workers: () => readonly LiveWorker[];
}

const MAX_PAGE = 1_000;
const pageQuery = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
});
const jobShown = z.object({
  id: z.string(),
  status: z.enum(Object.values(API_STATUS)),
  number: z.number(),
  created_at: z.iso.datetime(),
});
const poolName = z.string().regex(/^[\w.-]{1,64}$/, 'must be the name of a pool');

/** The queue as a whole: who waits, pausing, and single jobs. */
export function createQueueAdminRoutes(parts: QueueRouteParts): AdminRoute[] {
  const { policy, audit, reader, editor, workers } = parts;
  const poolShown = shownSchema(POLICY_SCHEMAS.pools).extend({
    workers: z.number().int().describe('Live workers'),
    running: z.number().int().describe('Jobs that they run, as they said last (5 s)'),
  });
  const queueShown = z.object({
    pending: z.number().int(),
    running: z.number().int(),
    pools: z.array(poolShown),
  });
  const listPools = () => [...new Set([DEFAULT_POOL, ...policy.listNames('pools')])];
  const showPool = (name: string) => {
    const members = name === DEFAULT_POOL ? workers() : [];
    const running = members.reduce((sum, worker) => sum + worker.running, 0);
    return { ...show(policy, 'pools', name), workers: members.length, running };
  };
  const showQueue = async () => ({
    ...(await reader.countQueue()),
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
      query: pageQuery,
      answer: z.object({ jobs: z.array(jobShown), total: z.number().int() }),
      handle: async ({ query }) => {
        const states = JOB_STATES.filter((state) => state === 'pending' || state === 'running');
        const page = { states, sortBy: 'created', descending: false, ...query } as const;
        const { ids, total } = await reader.listJobIds(page);
        const jobs: z.infer<typeof jobShown>[] = [];
        for await (const views of reader.streamViews(ids)) jobs.push(...views.map(showJob));
        return { jobs, total };
      },
    }),
    ...(['pause', 'resume'] as const).map((action) =>
      describeRoute({
        ...{ method: 'POST', path: `/queue/${action}`, tag: 'queue', answer: queueShown },
        summary:
          action === 'pause'
            ? 'Starts no more jobs, in one pool or in all; what runs goes on, new jobs wait'
            : 'Starts jobs again',
        errors: ['not_found'],
        body: z.strictObject({ pool: poolName.optional().describe('Without it: all pools') }),
        handle: async ({ body: { pool }, actor }) => {
          if (pool !== undefined) requirePool(pool);
          for (const name of pool === undefined ? listPools() : [pool]) {
            const { override = {} } = policy.read('pools', name);
            await policy.set('pools', name, { ...override, paused: action === 'pause' }, actor);
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
      errors: ['not_found', 'job_not_pending'],
      body: z.union([
        z.strictObject({ front: z.literal(true).describe('Before all that have counted numbers') }),
        z.strictObject({ number: z.number().describe('As `number` of POST /prompt') }),
      ]),
      answer: z.object({ id: z.string(), number: z.number() }),
      handle: async ({ param, body, actor }) => {
        const id = param('id');
        await requireJob(reader, id);
        await audit.write('jobs.move', id, body, actor);
        const number = await editor.move(id, 'number' in body ? body.number : 'front');
        if (number === undefined) {
          throw new AppError('job_not_pending', `The job ${JSON.stringify(id)} does not wait.`);
        }
        return { id, number };
      },
    }),
    describeRoute({
      ...{ method: 'POST', path: '/jobs/:id/cancel', tag: 'jobs', errors: ['not_found'] },
      summary: 'Removes a waiting job, stops a running one',
      answer: z.object({
        id: z.string(),
        cancelled: z.boolean().describe('false: it had ended already'),
      }),
      handle: async ({ param, actor }) => {
        const id = param('id');
        await requireJob(reader, id);
        await audit.write('jobs.cancel', id, {}, actor);
        return { id, cancelled: (await editor.cancel([id])) > 0 };
      },
    }),
  ];
}

async function requireJob(reader: Reader, id: string): Promise<void> {
  if ((await reader.readRecord(id)) !== undefined) return;
  throw new AppError('not_found', `There is no job ${JSON.stringify(id)}.`);
}

function showJob({ id, state, number, createdAt }: JobView): z.infer<typeof jobShown> {
  return { id, status: API_STATUS[state], number, created_at: iso(createdAt) ?? '' };
}
