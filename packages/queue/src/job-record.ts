import { promptIdOf, unscoped, type JobId, type JobState } from '@tiercel/contracts';

/** What a listing shows of a job. Texts are JSON, ready to be spliced into an answer. */
export interface JobView {
  /** What its caller knows it by. */
  readonly id: string;
  /** Whose it is: for operators only. */
  readonly tenant: string;
  readonly state: JobState;
  readonly number: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  readonly workflowId: string | undefined;
  readonly outputsCount: number;
  /** Of these, the ones that frontends can show. */
  readonly previewableCount: number;
  readonly previewOutputText: string | undefined;
  readonly errorText: string | undefined;
}

/** A record with the prompt itself. */
export interface JobRecord extends JobView {
  readonly clientField: string;
  /** While it waits: which workers it is for, as `judgeJob` has it. */
  readonly kind: string;
  readonly promptText: string;
  readonly extraText: string;
  readonly targetsText: string;
  readonly outputsText: string;
  readonly messagesText: string;
  readonly metaText: string;
  readonly reportText: string;
}

/** How a job ended. */
export interface EndedJob {
  readonly id: string;
  readonly outputsText: string;
  readonly messagesText: string;
}

/** Fields of a record's hash that a listing needs. */
export const VIEW_FIELDS = [
  'id',
  'state',
  'number',
  'created',
  'started',
  'ended',
  'workflow',
  'outputs_count',
  'previewable_count',
  'preview_output',
  'error',
] as const;
export const RECORD_FIELDS = [
  ...VIEW_FIELDS,
  'kind',
  'client',
  'prompt',
  'extra',
  'targets',
  'outputs',
  'messages',
  'meta',
  'report',
] as const;

export const END_FIELDS = ['id', 'state', 'outputs', 'messages'] as const;

/** @param id as the record has it: scoped */
const callersId = (id: string): string => promptIdOf(id as JobId);

type Fields<F extends string> = Readonly<Record<F, string | undefined>>;

const numberOf = (text: string | undefined): number | undefined =>
  text === undefined || text === '' ? undefined : Number(text);
const textOf = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

export function toView(job: Fields<(typeof VIEW_FIELDS)[number]>): JobView {
  return {
    id: callersId(job.id ?? ''),
    tenant: unscoped(job.id ?? '').tenant,
    state: (job.state ?? 'error') as JobState,
    number: Number(job.number),
    createdAt: Number(job.created),
    startedAt: numberOf(job.started),
    endedAt: numberOf(job.ended),
    workflowId: textOf(job.workflow),
    outputsCount: Number(job.outputs_count ?? 0),
    previewableCount: Number(job.previewable_count ?? 0),
    previewOutputText: textOf(job.preview_output),
    errorText: textOf(job.error),
  };
}

export function toRecord(job: Fields<(typeof RECORD_FIELDS)[number]>): JobRecord {
  return {
    ...toView(job),
    clientField: job.client ?? 'n',
    kind: job.kind ?? '',
    promptText: job.prompt ?? '{}',
    extraText: job.extra ?? '{}',
    targetsText: job.targets ?? '[]',
    outputsText: job.outputs ?? '{}',
    messagesText: job.messages ?? '[]',
    metaText: job.meta ?? '{}',
    reportText: job.report ?? 'null',
  };
}

/** Empty for a job that has not ended. */
export function toEnd(job: Fields<(typeof END_FIELDS)[number]>): EndedJob[] {
  const { id = '', state, outputs = '{}', messages = '[]' } = job;
  if (state === 'pending' || state === 'running') return [];
  return [{ id: callersId(id), outputsText: outputs, messagesText: messages }];
}
