import {
  API_STATUS,
  isJsonObject,
  isServed,
  JOB_STATES,
  keyText,
  type ApiJobStatus,
  type Fleet,
  type JobState,
  type JsonValue,
} from '@tiercel/contracts';
import type { Editor, Estimate, JobRecord, JobView, Reader } from '@tiercel/queue';
import type { Request, Response } from 'express';
import { executionStatusText, isEnded, setServedBy } from '../history-item.ts';
import { callerOf } from '../identity/caller-of.ts';
import { sendJson, sendJsonText, streamJsonText } from '../http/answer.ts';
import { parseInteger, readJsonBody, readParam, readQuery } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import type { JobEstimates } from '../job-estimates.ts';
import type { JobProgress } from '../job-progress.ts';

const MAX_CANCEL_IDS = 100;
/** More than any history holds. */
const UNLIMITED = 1e12;
const STATUSES = Object.values(API_STATUS);
const SORT_KEYS: ReadonlyMap<string, 'created' | 'duration'> = new Map([
  ['created_at', 'created'],
  ['create_time', 'created'],
  ['execution_duration', 'duration'],
  ['execution_time', 'duration'],
]);

export interface JobsDependencies {
  readonly reader: Reader;
  readonly editor: Editor;
  readonly estimates: JobEstimates;
  readonly progress: JobProgress;
  /** Workers that are up or may come back. */
  readonly fleet: () => Fleet;
}

/** The /api/jobs family (wire 8). */
export function createJobsRoutes(deps: JobsDependencies): Route[] {
  const readerOf = (res: Response) => deps.reader.of(callerOf(res).tenant);
  const editorOf = (res: Response) => deps.editor.of(callerOf(res).tenant);
  return [
    {
      method: 'GET',
      path: '/jobs',
      prefix: 'api',
      async handle(req, res) {
        const query = readListQuery(req);
        if ('error' in query) {
          sendJson(res, { error: query.error }, 400);
          return;
        }
        const { tenant } = callerOf(res);
        const estimates = deps.estimates.isWanted(req)
          ? (jobs: readonly JobView[]) => deps.estimates.of(jobs, tenant)
          : undefined;
        await streamJsonText(res, listJobs(readerOf(res), query, estimates));
      },
    },
    {
      method: 'GET',
      path: '/jobs/:jobId',
      prefix: 'api',
      async handle(req, res) {
        const job = await readerOf(res).readRecord(readParam(req, 'jobId'));
        if (job === undefined) {
          sendJson(res, { error: 'Job not found' }, 404);
          return;
        }
        if (isEnded(job)) setServedBy(res, job);
        if (!deps.estimates.isWanted(req)) {
          sendJsonText(res, jobDetailText(job, {}, deps.fleet()));
          return;
        }
        const { tenant } = callerOf(res);
        const estimate = (await deps.estimates.of([job], tenant)).get(job.id);
        const progress =
          job.state === 'running' ? await deps.progress.read(job, tenant) : undefined;
        sendJsonText(res, jobDetailText(job, { ...estimate, progress }, deps.fleet()));
      },
    },
    {
      method: 'POST',
      path: '/jobs/cancel',
      prefix: 'api',
      body: 'text',
      async handle(req, res) {
        const ids = readCancelIds(req);
        if ('error' in ids) sendJson(res, ids, 400);
        else sendJson(res, { cancelled: (await editorOf(res).cancel(ids.ids)) > 0 });
      },
    },
    {
      method: 'POST',
      path: '/jobs/:jobId/cancel',
      prefix: 'api',
      body: 'text',
      async handle(req, res) {
        sendJson(res, { cancelled: (await editorOf(res).cancel([readParam(req, 'jobId')])) > 0 });
      },
    },
  ];
}

interface ListQuery {
  readonly states: readonly JobState[];
  readonly workflowId: string | undefined;
  readonly sortBy: 'created' | 'duration';
  readonly descending: boolean;
  readonly limit: number | undefined;
  readonly offset: number;
}

function readListQuery(req: Request): ListQuery | { error: string } {
  const query = readQuery(req);
  const words = (query.get('status') ?? '')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '');
  const invalid = words.filter((word) => !STATUSES.includes(word as ApiJobStatus));
  if (invalid.length > 0) {
    return {
      error: `Invalid status value(s): ${invalid.join(', ')}. Valid values: ${STATUSES.join(', ')}`,
    };
  }
  const sortBy = SORT_KEYS.get(query.get('sort_by') ?? 'created_at');
  if (sortBy === undefined)
    return { error: "sort_by must be 'created_at' or 'execution_duration'" };
  const order = query.get('sort_order') ?? 'desc';
  if (order !== 'asc' && order !== 'desc') return { error: "sort_order must be 'asc' or 'desc'" };
  const limit = readInteger(query, 'limit');
  if (limit !== undefined && Number.isNaN(limit)) return { error: 'limit must be an integer' };
  if (limit !== undefined && limit <= 0) return { error: 'limit must be a positive integer' };
  const offset = readInteger(query, 'offset') ?? 0;
  if (Number.isNaN(offset)) return { error: 'offset must be an integer' };
  return {
    states:
      words.length === 0
        ? JOB_STATES
        : JOB_STATES.filter((state) => words.includes(API_STATUS[state])),
    workflowId: query.get('workflow_id') ?? undefined,
    sortBy,
    descending: order === 'desc',
    limit,
    offset: Math.max(0, offset),
  };
}

/** NaN for what is no whole number: the refusal has ComfyUI's words. */
function readInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  return text === null ? undefined : (parseInteger(text) ?? NaN);
}

/** What is told of a job that has not ended; times in ms. */
interface Outlook extends Partial<Pick<Estimate, 'position' | 'startMs' | 'endMs'>> {
  /** Of a running job, from 0 to 1. */
  readonly progress?: number | undefined;
}

type Estimator = (jobs: readonly JobView[]) => Promise<ReadonlyMap<string, Estimate>>;

async function* listJobs(
  reader: Reader,
  query: ListQuery,
  estimate: Estimator | undefined,
): AsyncGenerator<string> {
  const { ids, total } = await findPage(reader, query);
  yield '{"jobs":[';
  let shown = 0;
  for await (const page of reader.streamViews(ids)) {
    const estimates = await estimate?.(page);
    for (const job of page) {
      yield `${shown === 0 ? '' : ','}{${jobFieldsText(job, estimates?.get(job.id) ?? {})}}`;
      shown += 1;
    }
  }
  const { offset, limit } = query;
  const hasMore = offset + shown < total;
  const pagination = { offset, limit: limit ?? null, total, has_more: hasMore };
  yield `],"pagination":${JSON.stringify(pagination)}}`;
}

async function findPage(
  reader: Reader,
  query: ListQuery,
): Promise<{ ids: string[]; total: number }> {
  const { workflowId, limit = UNLIMITED, offset } = query;
  if (workflowId === undefined) return await reader.listJobIds({ ...query, limit, offset });
  const jobs = await reader.readWorkflow(keyText(workflowId));
  const matching = jobs.filter((job) => query.states.includes(job.state));
  const key = (job: JobView) => (query.sortBy === 'created' ? job.createdAt : durationOf(job));
  matching.sort((a, b) => (query.descending ? key(b) - key(a) : key(a) - key(b)));
  const ids = matching.slice(offset, offset + limit).map(({ id }) => id);
  return { ids, total: matching.length };
}

function durationOf(job: JobView): number {
  return job.startedAt === undefined || job.endedAt === undefined ? 0 : job.endedAt - job.startedAt;
}

/** Members of a job object. What is not known is left out: a null breaks frontends (wire 8.4). */
function jobFieldsText(job: JobView, outlook: Outlook): string {
  const members: [string, string | number | undefined][] = [
    ['id', JSON.stringify(job.id)],
    ['status', JSON.stringify(API_STATUS[job.state])],
    ['priority', job.number],
    ['create_time', job.createdAt],
    ['execution_start_time', job.startedAt],
    ['execution_end_time', job.endedAt],
    ['execution_error', job.errorText],
    ['outputs_count', job.outputsCount],
    ['previewable_outputs_count', job.previewableCount],
    ['preview_output', job.previewOutputText],
    ['workflow_id', job.workflowId === undefined ? undefined : JSON.stringify(job.workflowId)],
    ['position', outlook.position],
    ['expected_start_time', outlook.startMs],
    ['expected_end_time', outlook.endMs],
    ['progress', outlook.progress],
  ];
  return members
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `"${name}":${String(value)}`)
    .join(',');
}

const NO_WORKER = {
  waiting_for: 'worker',
  message: 'No worker that is up can run this job: it waits for one that can.',
};

function jobDetailText(job: JobRecord, outlook: Outlook, fleet: Fleet): string {
  const lacksWorker =
    job.state === 'pending' && fleet.profiles.length > 0 && !isServed(job.kind, fleet);
  const { position } = outlook;
  const parts = [jobFieldsText(job, lacksWorker ? { position } : outlook)];
  if (isEnded(job)) {
    parts.push(`"outputs":${job.outputsText}`, `"execution_status":${executionStatusText(job)}`);
    parts.push(`"tiercel":${job.reportText}`);
  }
  if (lacksWorker) {
    parts.push(`"tiercel":${JSON.stringify(NO_WORKER)}`);
  }
  parts.push(`"workflow":{"prompt":${job.promptText},"extra_data":${job.extraText}}`);
  return `{${parts.join(',')}}`;
}

function readCancelIds(
  req: Request,
): { ids: string[] } | { error: string; invalid_ids?: unknown[] } {
  let body: JsonValue;
  try {
    body = readJsonBody(req);
  } catch {
    return { error: 'Request body must be valid JSON' };
  }
  const ids = isJsonObject(body) ? body.job_ids : undefined;
  if (!Array.isArray(ids)) return { error: 'job_ids must be a list' };
  if (ids.length > MAX_CANCEL_IDS) {
    return { error: `job_ids must hold at most ${MAX_CANCEL_IDS} ids` };
  }
  const invalid = ids.filter((id: JsonValue) => typeof id !== 'string' || id === '');
  if (invalid.length > 0) return { error: 'job_ids contains invalid id(s)', invalid_ids: invalid };
  return { ids: ids.map(String) };
}
