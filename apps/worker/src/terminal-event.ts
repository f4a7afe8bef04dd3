import { type AttemptReport, isAppError, type TerminalEvent } from '@tiercel/contracts';
import type { TakenJob } from '@tiercel/queue';
import {
  AttemptStopped,
  describeAttempt,
  JobError,
  NOTHING,
  type PartialResult,
  serviceError,
  type StopReason,
} from '@tiercel/routing';

/** How a run that did not succeed is told: execution_interrupted or execution_error. */
export function describeFailure(
  job: TakenJob,
  cause: unknown,
  facts: {
    reason: StopReason | undefined;
    timestamp: number;
    jobTimeoutMs: number;
    /** What was tried; told when it was more than one tier. */
    attempts: readonly AttemptReport[];
  },
): TerminalEvent {
  const { reason, timestamp } = facts;
  const at = cause instanceof AttemptStopped ? cause : stoppedBefore();
  if (reason === 'interrupt' || job.cancelled || isStoppedThere(cause, reason)) {
    const { nodeId: node_id, nodeType: node_type, executed } = at;
    return {
      type: 'execution_interrupted',
      data: { prompt_id: job.promptId, node_id, node_type, executed, timestamp },
    };
  }
  const failure = reason === 'timeout' ? outOfTime(at, facts) : asJobError(cause);
  return {
    type: 'execution_error',
    data: { prompt_id: job.promptId, ...failure.details, timestamp },
  };
}

/**
 * Stopped, and not by us: where the job ran somebody interrupted it, the operator of a ComfyUI server or
 * another of its clients.
 */
export function isStoppedThere(cause: unknown, reason: StopReason | undefined): boolean {
  return cause instanceof AttemptStopped && reason === undefined;
}

/** What had been shown before the failure; history keeps it. */
export function partialOf(cause: unknown): PartialResult {
  return cause instanceof JobError || cause instanceof AttemptStopped ? cause.partial : NOTHING;
}

/** Stopped before any node ran. */
export function stoppedBefore(): AttemptStopped {
  return new AttemptStopped({ nodeId: null, nodeType: null, executed: [] });
}

function outOfTime(
  at: AttemptStopped,
  { jobTimeoutMs, attempts }: { jobTimeoutMs: number; attempts: readonly AttemptReport[] },
): JobError {
  const tried = attempts.length > 1 ? attempts.map(describeAttempt).join('') : '';
  const message = `The job ran longer than its limit of ${jobTimeoutMs} ms.\n${tried}`;
  return new JobError('node_timeout', {
    ...serviceError('node_timeout', message).details,
    node_id: at.nodeId ?? '',
    node_type: at.nodeType ?? '',
    executed: at.executed,
  });
}

/** An error of ours is told without its details: they are in the log. */
function asJobError(cause: unknown): JobError {
  if (cause instanceof JobError) return cause;
  if (isAppError(cause) && cause.code === 'storage_unavailable') {
    return serviceError(cause.code, `${cause.message}\n`, { cause });
  }
  const message = 'An internal error ended the job; the log has the details.\n';
  return serviceError('internal', message);
}
