import {
  JobError,
  NOTHING,
  RoutingFailed,
  serviceError,
  Stopped,
  type AttemptContext,
  type TierRouter,
} from '@tiercel/backends';
import {
  type JobResult,
  type ServiceReport,
  type TerminalEvent,
  type WorkerId,
} from '@tiercel/contracts';
import type { EventPublisher } from '@tiercel/events';
import { type Consumer, type FinishReply, type TakenJob } from '@tiercel/queue';
import { startTimer, type Clock, type Logger } from '@tiercel/runtime';
import { JobReporter } from './job-reporter.ts';
import type { RunningJobs } from './running-jobs.ts';
import { toAttemptRequest } from './to-attempt-request.ts';
import { describeFailure, partialOf, stoppedBefore } from './terminal-event.ts';
import type { WorkerMetrics } from './worker-metrics.ts';

export interface JobProcessorOptions {
  readonly workerId: WorkerId;
  readonly jobTimeoutMs: number;
  readonly attempts: number;
  readonly secretKey: Uint8Array;
}

const NO_REPORT: ServiceReport = {
  served_by: null,
  attempts: [],
  degraded: false,
  dropped_params: [],
};

/** What belongs to one run of a job. */
interface JobRun {
  readonly context: AttemptContext;
  readonly reporter: JobReporter;
  readonly controller: AbortController;
  readonly startedAt: number;
  readonly log: Logger;
}

/** The one pipeline: take, route, run, record, announce. (Outputs are stored while the run makes them.) */
export class JobProcessor {
  readonly #consumer: Consumer;
  readonly #publisher: EventPublisher;
  readonly #router: TierRouter;
  readonly #running: RunningJobs;
  readonly #options: JobProcessorOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: WorkerMetrics;
  #stopping = false;

  constructor(dependencies: {
    consumer: Consumer;
    publisher: EventPublisher;
    router: TierRouter;
    running: RunningJobs;
    options: JobProcessorOptions;
    clock: Clock;
    log: Logger;
    metrics: WorkerMetrics;
  }) {
    this.#consumer = dependencies.consumer;
    this.#publisher = dependencies.publisher;
    this.#router = dependencies.router;
    this.#running = dependencies.running;
    this.#options = dependencies.options;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#metrics = dependencies.metrics;
  }

  /**
   * Runs the job of one permit to its end, and further jobs while there are any. Never throws for what
   * a job does.
   */
  async process(permit: string): Promise<void> {
    let job = await this.#consumer.take(permit, this.#options.workerId);
    while (job !== undefined) {
      const { unlocked, next } = await this.#processOne(job);
      if (this.#stopping && unlocked && next === undefined) await this.#consumer.addPermit();
      job = next;
    }
  }

  /** Jobs under way may end; no further ones are taken. */
  stopTaking(): void {
    this.#stopping = true;
  }

  async #processOne(job: TakenJob): Promise<FinishReply> {
    const log = this.#log.child({ promptId: job.id, attempt: job.attempt });
    const startedAt = this.#clock.now();
    const { controller, wasRung } = this.#running.add(job.id);
    if (wasRung && (await this.#consumer.isCancelled(job.id))) {
      controller.abort(new Stopped('interrupt'));
    }
    const deadline = startTimer(() => {
      controller.abort(new Stopped('timeout'));
    }, this.#options.jobTimeoutMs);
    const reporter = new JobReporter({
      scope: { promptId: job.id, clientId: job.clientId },
      publisher: this.#publisher,
      clock: this.#clock,
      log,
    });
    let noteRecorded = (): void => undefined;
    const recorded = new Promise<void>((resolve) => {
      noteRecorded = resolve;
    });
    const context = {
      ...{ signal: controller.signal, listener: reporter, recorded },
      remember: (note: string) => this.#consumer.remember(job, note),
    };
    try {
      const result = await this.#run(job, { context, reporter, controller, startedAt, log });
      reporter.close();
      if (result === 'hand-back') {
        await this.#consumer.handBack(job);
        log.info('job handed back');
        return { ours: false, unlocked: false, next: undefined };
      }
      const next = this.#stopping ? undefined : this.#options.workerId;
      const reply = await this.#finish(job, result, startedAt, next, log);
      const ms = this.#clock.now() - startedAt;
      if (reply.ours) {
        noteRecorded();
        this.#metrics.jobEnded(result.outcome, ms / 1000);
        log.info({ outcome: result.outcome, ms }, 'job ended');
      } else {
        log.warn({ ms }, 'job had been taken over by another worker: result dropped');
      }
      return reply;
    } finally {
      clearTimeout(deadline);
      reporter.close();
      this.#running.remove(job.id);
    }
  }

  /** A result that cannot be written down must not leave its job running: it ends as our error. */
  async #finish(
    job: TakenJob,
    result: JobResult,
    startedAt: number,
    next: WorkerId | undefined,
    log: Logger,
  ): Promise<FinishReply> {
    try {
      return await this.#consumer.finish(job, result, startedAt, next);
    } catch (error) {
      log.error({ err: error }, 'a result could not be recorded');
      const terminal = describeFailure(job, error, {
        reason: undefined,
        timestamp: this.#clock.now(),
        jobTimeoutMs: this.#options.jobTimeoutMs,
        attempts: [],
      });
      const failed: JobResult = {
        outcome: 'error',
        ...NOTHING,
        messages: [[terminal.type, terminal.data]],
        terminal,
        report: result.report,
      };
      return await this.#consumer.finish(job, failed, startedAt, next);
    }
  }

  async #run(
    job: TakenJob,
    { context, reporter, controller, startedAt, log }: JobRun,
  ): Promise<JobResult | 'hand-back'> {
    reporter.start(startedAt);
    try {
      if (job.cancelled) {
        if (job.note === undefined) throw new RoutingFailed(stoppedBefore(), NO_REPORT);
        // An attempt of a worker that died may go on somewhere: the backend stops it there.
        controller.abort(new Stopped('interrupt'));
      }
      if (job.attempt > this.#options.attempts) {
        const message = `The job was started ${job.attempt - 1} times and its worker died each time.\n`;
        throw new RoutingFailed(serviceError('worker_lost', message), NO_REPORT);
      }
      const request = toAttemptRequest(job, startedAt, this.#options);
      const routed = await this.#router.run(request, context);
      const terminal: TerminalEvent = {
        type: 'execution_success',
        data: { prompt_id: job.id, timestamp: this.#clock.now() },
      };
      const { outputs, meta } = routed.result;
      reporter.served(routed.report);
      return ended('success', reporter, terminal, routed.report, {
        outputs,
        meta: withServer(meta, routed.report),
      });
    } catch (error) {
      const { cause, report } =
        error instanceof RoutingFailed ? error : { cause: error, report: NO_REPORT };
      const reason = stopReason(controller.signal);
      if (reason === 'shutdown') return 'hand-back';
      if (reason !== 'interrupt' && !job.cancelled) logFailure(log, cause, reason);
      const terminal = describeFailure(job, cause, {
        reason,
        timestamp: this.#clock.now(),
        jobTimeoutMs: this.#options.jobTimeoutMs,
        attempts: report.attempts,
      });
      reporter.served(report);
      const outcome = terminal.type === 'execution_interrupted' ? 'interrupted' : 'error';
      return ended(outcome, reporter, terminal, report, partialOf(cause));
    }
  }
}

/** The caller is told what it may know; why it came to that is for the log. */
function logFailure(log: Logger, cause: unknown, reason: Stopped['reason'] | undefined): void {
  if (reason === 'timeout') {
    log.warn({ err: cause }, 'a job ran out of time');
  } else if (!(cause instanceof JobError)) {
    log.error({ err: cause }, 'a job failed by an error of ours');
  } else {
    const { node_id: nodeId, node_type: nodeType } = cause.details;
    const level = cause.code === 'storage_unavailable' ? 'error' : 'warn';
    log[level]({ err: cause, code: cause.code, nodeId, nodeType }, 'a job failed');
  }
}

/** Says at each shown node what served it, where there is a choice of tiers. */
function withServer(meta: JobResult['meta'], report: ServiceReport): JobResult['meta'] {
  const { served_by, attempts, skipped = [] } = report;
  if (served_by === null || attempts.length + skipped.length < 2) return meta;
  return Object.fromEntries(
    Object.entries(meta).map(([nodeId, entry]) => [nodeId, { ...entry, served_by }]),
  );
}

function stopReason(signal: AbortSignal): Stopped['reason'] | undefined {
  return signal.reason instanceof Stopped ? signal.reason.reason : undefined;
}

function ended(
  outcome: JobResult['outcome'],
  reporter: JobReporter,
  terminal: TerminalEvent,
  report: ServiceReport,
  parts: Pick<JobResult, 'outputs' | 'meta'>,
): JobResult {
  const messages = [...reporter.messages, [terminal.type, terminal.data] as const];
  return { outcome, ...parts, messages, terminal, report };
}
