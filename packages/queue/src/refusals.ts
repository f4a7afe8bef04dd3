import { createHash } from 'node:crypto';
import { AppError, DEFAULT_TENANT, MICROS, type PromptId } from '@tiercel/contracts';
import type { EnqueueReply, ServiceRate } from './lua/enqueue.ts';
import type { NewJob, ProducerOptions } from './producer.ts';

/** Without a plan, and before anything has ended, nobody knows: a caller looks again after this. */
const DEFAULT_RETRY_SECONDS = 5;
const LONGEST_RETRY_SECONDS = 3_600;

type Refused = Exclude<EnqueueReply, { readonly kind: 'ok' | 'same' | 'replay' }>;

/**
 * Why a job was not accepted, in words, and when it may be. Callers with a plan are told for their programs too which
 * policy it was, and where among their own waiting jobs this one would have stood.
 * @param waiting jobs of the tenant
 */
export function describeRefusal(
  reply: Refused,
  { id, tenant, admission }: NewJob,
  options: Pick<ProducerOptions, 'maxPendingBytes'>,
  waiting: number,
): AppError {
  // How much others have waiting is nobody's to know.
  const isAlone = tenant === undefined || tenant.id === DEFAULT_TENANT;
  const info = (policy: string) =>
    admission === undefined ? {} : { extraInfo: { policy, position: waiting + 1 } };
  const limit = (name: string) => info(`plans.${admission?.plan ?? ''}.${name}`);
  switch (reply.kind) {
    case 'full': {
      const jobs = isAlone ? `: ${reply.pending} jobs are waiting` : '';
      return new AppError('queue_full', `The queue is full${jobs}.`, {
        retryAfterSeconds: secondsUntilPlace(reply.service, admission, 1),
        ...info('queue.maxPending'),
      });
    }
    case 'heavy':
      return new AppError(
        'queue_full',
        isAlone
          ? `The queue is full: its jobs hold ${reply.bytes} of ${options.maxPendingBytes} bytes ` +
              '(queue.maxPendingBytes), and this one has no room beside them.'
          : 'The queue is full: this job has no room in it now.',
        {
          retryAfterSeconds: secondsUntilPlace(reply.service, admission, 1),
          ...info('queue.maxPendingBytes'),
        },
      );
    case 'over': {
      const { sharers } = reply.service;
      const seconds = secondsUntilPlace(reply.service, admission, Math.max(1, sharers));
      return new AppError(
        'too_many_pending',
        `The plan ${admission?.plan ?? ''} lets ${admission?.maxPending ?? ''} jobs of yours wait ` +
          `(maxPending), and ${reply.pending} do. One of them starts in about ${seconds} s: try again then.`,
        { retryAfterSeconds: seconds, ...limit('maxPending') },
      );
    }
    case 'spent': {
      const seconds = Math.max(1, Math.ceil(reply.dayLeftMs / 1_000));
      return new AppError(
        'daily_jobs_used',
        `The plan ${admission?.plan ?? ''} allows ${admission?.jobsPerDay ?? ''} jobs a day (jobsPerDay), ` +
          `and ${reply.posted} were accepted today. The next day begins at midnight UTC, in ${seconds} s.`,
        { retryAfterSeconds: seconds, ...limit('jobsPerDay') },
      );
    }
    case 'poor': {
      const { period, spentMicros, leftMs } = reply;
      const { leastMicros = 0, dayMicros = 0, monthMicros = 0 } = admission?.budget ?? {};
      const seconds = Math.max(1, Math.ceil(leftMs / 1_000));
      const budget = (period === 'day' ? dayMicros : monthMicros) / MICROS;
      return new AppError(
        'budget_used',
        `The plan ${admission?.plan ?? ''} allows ${budget} a ${period} (budget.${period}), of which ` +
          `${spentMicros / MICROS} are spent; this prompt costs ${leastMicros / MICROS} at least. ` +
          `The next ${period} begins at midnight UTC, in ${seconds} s.`,
        { retryAfterSeconds: seconds, ...limit(`budget.${period}`) },
      );
    }
    case 'reused':
      return reusedKey();
    case 'conflict':
      return idConflict(id);
  }
}

/**
 * When one more of a caller's jobs has started, at the rate at which jobs end now. Places are shared by the tenants
 * whose jobs wait; a plan may let its jobs start more slowly than that.
 */
function secondsUntilPlace(
  { ended, spanMs }: ServiceRate,
  admission: NewJob['admission'],
  sharers: number,
): number {
  if (admission === undefined) return DEFAULT_RETRY_SECONDS;
  const measuredMs = ended < 2 ? DEFAULT_RETRY_SECONDS * 1_000 : (spanMs / (ended - 1)) * sharers;
  const seconds = Math.ceil(Math.max(measuredMs, admission.intervalMs ?? 0) / 1_000);
  return Math.min(Math.max(1, seconds), LONGEST_RETRY_SECONDS);
}

export function idConflict(id: PromptId): AppError {
  return new AppError(
    'prompt_id_conflict',
    `The prompt_id ${JSON.stringify(id)} was used before with another body.`,
  );
}

export function reusedKey(): AppError {
  return new AppError(
    'idempotency_key_reused',
    'This Idempotency-Key was used within 24 hours with another body: use a new one for a new request.',
  );
}

/** What stands for a tenant and one of its Idempotency-Keys; callers choose those, of any length. */
export function createReplayKey(tenant: string, idempotencyKey: string): string {
  return createHash('sha256').update(`${tenant}\n${idempotencyKey}`).digest('base64url');
}
