import type { AttemptClass, ErrorCode, ExecutionErrorData, JobResult } from '@tiercel/contracts';

/** What a run that did not come to its end has shown: history keeps it. */
export type PartialResult = Pick<JobResult, 'outputs' | 'meta'>;

export const NOTHING: PartialResult = { outputs: {}, meta: {} };

/** A backend's own trouble, or its refusal: `class` decides whether another tier is asked. */
export class AttemptError extends Error {
  readonly class: AttemptClass;
  /** When the backend says it can be asked again (Retry-After, a quota's reset), in epoch milliseconds. */
  readonly retryAtMs: number | undefined;
  /** A smaller batch may do. */
  readonly isOutOfMemory: boolean;
  /** Fields of the request, in the backend's words, that its refusal names. */
  readonly refusedFields: readonly string[];

  constructor(
    failureClass: AttemptClass,
    message: string,
    options: ErrorOptions & {
      retryAtMs?: number | undefined;
      isOutOfMemory?: boolean;
      refusedFields?: readonly string[] | undefined;
    } = {},
  ) {
    super(message, options);
    this.name = 'AttemptError';
    this.class = failureClass;
    this.retryAtMs = options.retryAtMs;
    this.isOutOfMemory = options.isOutOfMemory ?? false;
    this.refusedFields = options.refusedFields ?? [];
  }
}

/**
 * How long whoever failed so is left alone when it does not say for how long itself; in ms. Other classes are
 * counted.
 */
export const PAUSES_MS: Readonly<Partial<Record<AttemptClass, number>>> = {
  // A wrong key does not mend itself.
  config: 600_000,
  quota: 3_600_000,
  rate: 10_000,
  capacity: 2_000,
};

/** Whether another tier may do better. The caller's own fault is reported, never tried elsewhere. */
export function mayTryNextTier(failureClass: AttemptClass): boolean {
  return failureClass !== 'caller' && failureClass !== 'safety';
}

/** The job has failed for good: what execution_error says of the node that failed. */
export class JobError extends Error {
  readonly code: ErrorCode;
  readonly details: Omit<ExecutionErrorData, 'prompt_id' | 'timestamp'>;
  readonly partial: PartialResult;

  constructor(
    code: ErrorCode,
    details: Omit<ExecutionErrorData, 'prompt_id' | 'timestamp'>,
    options: ErrorOptions & { partial?: PartialResult } = {},
  ) {
    super(details.exception_message.trimEnd(), options);
    this.name = 'JobError';
    this.code = code;
    this.details = details;
    this.partial = options.partial ?? NOTHING;
  }
}

/** A JobError that no node is to blame for. */
export function serviceError(code: ErrorCode, message: string, options?: ErrorOptions): JobError {
  return new JobError(
    code,
    {
      node_id: '',
      node_type: '',
      executed: [],
      exception_message: message,
      exception_type: code,
      traceback: [],
      current_inputs: {},
      current_outputs: [],
    },
    options,
  );
}

/**
 * `claim_lost`: the worker was taken for dead, and somebody else has the job now. `preempted`: the job makes room for
 * another one, and begins anew later.
 */
export type StopReason = 'interrupt' | 'timeout' | 'shutdown' | 'claim_lost' | 'preempted';

/** Why a run is to stop; the abort reason of its signal. */
export class Stopped extends Error {
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`stopped: ${reason}`);
    this.name = 'Stopped';
    this.reason = reason;
  }
}

/** Whether the job goes on in another run, which takes up what this one has begun and noted. */
export function goesOnElsewhere({ reason }: { readonly reason: unknown }): boolean {
  return isClaimLost({ reason }) || (reason instanceof Stopped && reason.reason === 'shutdown');
}

/** Whether somebody else has the job although this worker lives. */
export function isClaimLost({ reason }: { readonly reason: unknown }): boolean {
  return reason instanceof Stopped && reason.reason === 'claim_lost';
}

/** The run was stopped from outside while this node was at work. */
export class AttemptStopped extends Error {
  readonly nodeId: string | null;
  readonly nodeType: string | null;
  readonly executed: readonly string[];
  readonly partial: PartialResult;

  constructor(at: {
    nodeId: string | null;
    nodeType: string | null;
    executed: readonly string[];
    partial?: PartialResult;
  }) {
    super('stopped');
    this.partial = at.partial ?? NOTHING;
    this.name = 'AttemptStopped';
    this.nodeId = at.nodeId;
    this.nodeType = at.nodeType;
    this.executed = at.executed;
  }
}
