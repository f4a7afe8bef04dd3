import type {
  JobResult,
  PermitId,
  ServiceReport,
  TerminalEvent,
  WorkerId,
} from '@tiercel/contracts';
import type { EventPublisher, EmittedBefore } from '@tiercel/events';
import {
  type Consumer,
  createClaimId,
  type FinishReply,
  type JobUsage,
  type NextTaker,
  type PermitLease,
  type TakenJob,
} from '@tiercel/queue';
import {
  type AttemptContext,
  type JobSpending,
  JobError,
  NOTHING,
  RoutingFailed,
  serviceError,
  Stopped,
  type TierRouter,
} from '@tiercel/routing';
import {
  type Clock,
  clockFrom,
  isRedisUnavailable,
  type Logger,
  startTimer,
  untilServed,
} from '@tiercel/runtime';
import { Claim } from './claim.ts';
import type { JobAccounts } from './job-accounts.ts';
import { JobReporter, type ReporterPace } from './job-reporter.ts';
import type { OtherWorkers } from './other-workers.ts';
import { readPreviewAudience } from './preview-audience.ts';
import type { RunningJobs } from './running-jobs.ts';
import {
  type JobGraph,
  type JobLimits,
  readGraph,
  toAttemptRequest,
} from './to-attempt-request.ts';
import { describeFailure, isStoppedThere, partialOf, stoppedBefore } from './terminal-event.ts';
import type { WorkerMetrics } from './worker-metrics.ts';

export interface JobProcessorOptions {
  readonly workerId: WorkerId;
  readonly jobTimeoutMs: number;
  readonly attempts: number;
  readonly secretKey: Uint8Array;
  /** Whether no jobs are to be started now. */
  readonly isPaused: () => boolean;
  /** What the plan of a tenant says of its jobs. */
  readonly limitsOf: (tenant: string) => Promise<JobLimits>;
  /** Undefined: nobody counts what jobs use. */
  readonly accounts?: JobAccounts | undefined;
}

const NO_REPORT: ServiceReport = {
  served_by: null,
  attempts: [],
  degraded: false,
  dropped_params: [],
};

/** What belongs to one run of a job. */
interface JobRun {
  readonly claim: Claim;
  readonly context: AttemptContext;
  readonly reporter: JobReporter;
  /** Goes on from Redis' time at the take: times that workers write down can be compared. */
  readonly clock: Clock;
  readonly startedAt: number;
  readonly log: Logger;
  /** Filled when a tier is looked for. */
  spending?: JobSpending;
  /** Filled when the end is written down. */
  usage?: JobUsage | undefined;
  /** @throws when the job's prompt cannot be read */
  readonly graph: () => JobGraph;
}

/** The job is somebody else's to end. */
const NOT_OURS: FinishReply = { ours: false, unlocked: false, next: undefined };

/** The one pipeline: take, route, run, record, publish. (Outputs are stored while the run makes them.) */
export class JobProcessor {
  readonly #consumer: Consumer;
  readonly #publisher: EventPublisher;
  readonly #router: TierRouter;
  readonly #running: RunningJobs;
  readonly #others: OtherWorkers;
  readonly #options: JobProcessorOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: WorkerMetrics;
  readonly #pace: ReporterPace;
  readonly #stopping = new AbortController();

  constructor(dependencies: {
    consumer: Consumer;
    publisher: EventPublisher;
    router: TierRouter;
    running: RunningJobs;
    others: OtherWorkers;
    options: JobProcessorOptions;
    clock: Clock;
    log: Logger;
    metrics: WorkerMetrics;
    /** How often a job's previews and progress may be sent now. */
    pace: ReporterPace;
  }) {
    this.#consumer = dependencies.consumer;
    this.#publisher = dependencies.publisher;
    this.#router = dependencies.router;
    this.#running = dependencies.running;
    this.#others = dependencies.others;
    this.#options = dependencies.options;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#metrics = dependencies.metrics;
    this.#pace = dependencies.pace;
  }

  /**
   * Runs the job of one permit to its end, and further jobs while there are any and the permit is held. Never
   * throws for what a job does, nor because Redis cannot serve: then the permit is to be delivered again.
   */
  async process(lease: PermitLease): Promise<void> {
    try {
      let job = await this.#take(lease);
      while (job !== undefined) {
        lease.noteJob();
        const { ours, unlocked, next } = await this.#processOne(job, lease);
        if (unlocked && next === undefined) await this.#consumer.addPermit();
        if (ours && next === undefined && lease.isHeld) lease.noteNothing();
        job = next;
      }
    } catch (error) {
      if (!isRedisUnavailable(error) && !(error instanceof Stopped)) throw error;
      this.#log.warn(
        { err: error, permit: lease.permit },
        'a permit is left to be delivered again',
      );
      lease.leave();
    }
  }

  /** Jobs under way may end; no further ones are taken. */
  stopTaking(): void {
    this.#stopping.abort(new Stopped('shutdown'));
  }

  /** Stops what runs under a permit without a right to: its job was taken by somebody else. */
  async checkClaims(permit: PermitId): Promise<void> {
    for (const claim of this.#running.ofPermit(permit)) {
      if (await this.#consumer.holds(claim.job)) continue;
      this.#loseClaim(claim);
    }
  }

  #loseClaim(claim: Claim): void {
    if (claim.surrendered.aborted) return;
    const { promptId, attempt } = claim.job;
    this.#log.warn({ promptId, attempt }, 'somebody else has the job: this run of it stops');
    claim.stop('claim_lost');
  }

  async #take(lease: PermitLease): Promise<TakenJob | undefined> {
    // A permit that came in spite of a pause ends; the sweeper sees to it that there are enough afterwards.
    if (this.#options.isPaused()) return undefined;
    const claimId = createClaimId();
    const { workerId } = this.#options;
    const job = await untilServed(
      () => this.#consumer.take(lease.permit, workerId, claimId, this.#others.profile()),
      { signal: this.#stopping.signal },
    );
    if (job === undefined) lease.noteNothing();
    return job;
  }

  async #processOne(job: TakenJob, lease: PermitLease): Promise<FinishReply> {
    const log = this.#log.child({ promptId: job.promptId, attempt: job.attempt });
    // Read once, whoever asks first; what keeps it from being read is an error of the job's.
    let read: JobGraph | undefined;
    const graph = (): JobGraph => (read ??= readGraph(job));
    if (await this.#decline(job, graph, log)) {
      return { ...NOT_OURS, next: lease.isHeld ? await this.#take(lease) : undefined };
    }
    const clock = clockFrom(job.takenAtMs);
    const startedAt = clock.now();
    this.#metrics.jobTaken(job.attempt, (job.takenAtMs - job.createdAt) / 1000);
    const claim = new Claim(job);
    const wasInterruptedEarly = this.#running.add(claim);
    const deadline = startTimer(() => {
      claim.stop('timeout');
    }, this.#options.jobTimeoutMs);
    const reporter = new JobReporter({
      scope: {
        ...{ tenant: job.tenant, promptId: job.promptId },
        ...{ clientId: job.clientId, claimId: job.claimId },
      },
      publisher: this.#publisher,
      previews: readPreviewAudience(job.extraText),
      pace: this.#pace,
      onWithheld: (what) => {
        this.#metrics.withheld(what);
      },
      clock,
      log,
      onVoid: () => {
        this.#loseClaim(claim);
      },
    });
    let markRecorded = (): void => undefined;
    const recorded = new Promise<void>((resolve) => {
      markRecorded = resolve;
    });
    const context = {
      ...{ signal: claim.signal, listener: reporter, recorded },
      saveResumeToken: (resumeToken: string) => this.#saveResumeToken(claim, resumeToken),
    };
    try {
      if (wasInterruptedEarly && (await this.#wasInterrupted(claim))) claim.stop('interrupt');
      const run: JobRun = { claim, context, reporter, clock, startedAt, log, graph };
      const result = await this.#run(job, run);
      clearTimeout(deadline);
      const isPreempted = result === 'hand-back' && stopReason(claim.signal) === 'preempted';
      if (isPreempted) reporter.requeued();
      reporter.close();
      if (result === 'hand-back') {
        await this.#handBack(claim, isPreempted);
        if (isPreempted) {
          markRecorded();
          this.#metrics.jobPreempted();
        }
        log.info({ isPreempted }, 'job handed back');
        return NOT_OURS;
      }
      const reply = result === 'lost' ? NOT_OURS : await this.#finish(run, lease, result);
      const ms = clock.now() - startedAt;
      if (reply.ours && result !== 'lost') {
        markRecorded();
        this.#metrics.jobEnded(result, ms / 1000);
        for (const use of run.usage?.uses ?? []) this.#metrics.used(use);
        log.info({ outcome: result.outcome, ms }, 'job ended');
      } else {
        log.warn({ ms }, 'result dropped: the job is not this run’s to end');
      }
      return reply;
    } finally {
      clearTimeout(deadline);
      reporter.close();
      this.#running.remove(claim);
    }
  }

  /**
   * Puts back a job that no tier of this worker can run, for another worker that may: before anything is told of it.
   * What nobody else can run ends here.
   */
  async #decline(job: TakenJob, graph: () => JobGraph, log: Logger): Promise<boolean> {
    if (job.cancelled || job.attempt > this.#options.attempts) return false;
    let kind: string | undefined;
    try {
      const limits = await this.#options.limitsOf(job.tenant);
      const options = { ...this.#options, limits };
      const request = toAttemptRequest(job, graph(), this.#clock.now(), options);
      if (this.#router.canRun(request)) return false;
      kind = await this.#others.find(job);
    } catch (error) {
      log.debug({ err: error }, 'other workers for a job could not be found');
    }
    if (kind === undefined) return false;
    const profile = this.#others.profile();
    const others = kind;
    await untilServed(() => this.#consumer.decline(job, profile, others), {
      signal: this.#stopping.signal,
    });
    log.info('no tier here can run the job: it waits for another worker');
    return true;
  }

  /** What is interrupted by then goes back too: its next run ends at once. */
  async #handBack({ job }: Claim, isPreempted: boolean): Promise<void> {
    const handBack = () => this.#consumer.handBack(job, { isPreempted });
    if (isPreempted) await untilServed(handBack, { signal: this.#stopping.signal });
    else await handBack();
  }

  #wasInterrupted({ job, surrendered }: Claim): Promise<boolean> {
    return untilServed(() => this.#consumer.isCancelled(job.id), { signal: surrendered });
  }

  /** @throws AttemptStopped when the claim is void: nobody would know of what was to be begun */
  async #saveResumeToken(claim: Claim, resumeToken: string): Promise<void> {
    const { job, signal } = claim;
    if (await untilServed(() => this.#consumer.saveResumeToken(job, resumeToken), { signal }))
      return;
    this.#loseClaim(claim);
    throw stoppedBefore();
  }

  /** What an earlier run emitted to clients is not taken back. Without it the job runs all the same. */
  async #readEmitted(job: TakenJob, log: Logger): Promise<EmittedBefore | undefined> {
    if (!job.hasRunBefore) return undefined;
    try {
      return await this.#publisher.readEmitted(job.id);
    } catch (error) {
      log.warn({ err: error }, 'what was emitted of the job before could not be read');
      return undefined;
    }
  }

  /**
   * Writes a job's end down. While Redis refuses it, the result is kept and offered again for as long as the claim
   * is valid: what was made and paid for is not lost to a full disk. A result that cannot be written for another
   * reason must not leave its job running: it ends as our error.
   */
  async #finish(run: JobRun, lease: PermitLease, result: JobResult): Promise<FinishReply> {
    const { claim, startedAt, log, spending } = run;
    const { job, surrendered } = claim;
    const usage = await this.#options.accounts?.describe(job.tenant, result, spending);
    run.usage = usage;
    const goesOn = lease.isHeld && !this.#stopping.signal.aborted && !this.#options.isPaused();
    // The same at each try: the first may have been carried out although its reply was lost.
    const next: NextTaker | undefined = goesOn
      ? {
          worker: this.#options.workerId,
          profile: this.#others.profile(),
          claimId: claim.nextId,
        }
      : undefined;
    const write = (ended: JobResult): Promise<FinishReply> =>
      untilServed(() => this.#consumer.finish(job, ended, startedAt, next, usage), {
        signal: surrendered,
        onRefused: (error, isFirst) => {
          if (isFirst) log.warn({ err: error }, 'Redis refuses the result of a job: it is kept');
        },
      });
    try {
      return await write(result);
    } catch (error) {
      if (surrendered.aborted) return NOT_OURS;
      log.error({ err: error }, 'a result could not be recorded');
      const terminal = describeFailure(job, error, {
        reason: undefined,
        timestamp: result.terminal.data.timestamp,
        jobTimeoutMs: this.#options.jobTimeoutMs,
        attempts: [],
      });
      return await write({
        outcome: 'error',
        ...NOTHING,
        messages: [[terminal.type, terminal.data]],
        terminal,
        report: result.report,
      });
    }
  }

  async #run(job: TakenJob, run: JobRun): Promise<JobResult | 'hand-back' | 'lost'> {
    const { claim, context, reporter, clock, startedAt, log, graph } = run;
    reporter.start(startedAt, await this.#readEmitted(job, log));
    let limitMs = this.#options.jobTimeoutMs;
    let deadline: NodeJS.Timeout | undefined;
    try {
      if (job.cancelled) {
        if (job.resumeToken === undefined) throw new RoutingFailed(stoppedBefore(), NO_REPORT);
        // An attempt of a worker that died may go on somewhere: the backend stops it there.
        claim.stop('interrupt');
      }
      if (job.attempt > this.#options.attempts) {
        const message = `The job was started ${job.attempt - 1} times and its worker died each time.\n`;
        throw new RoutingFailed(serviceError('worker_lost', message), NO_REPORT);
      }
      const { signal } = claim;
      const limits = await untilServed(() => this.#options.limitsOf(job.tenant), { signal });
      limitMs = Math.min(limitMs, limits.maxJobMs ?? Infinity);
      deadline = startTimer(() => {
        claim.stop('timeout');
      }, limitMs);
      const now = this.#clock.now();
      const options = { ...this.#options, jobTimeoutMs: limitMs, limits };
      const request = toAttemptRequest(job, graph(), now, options);
      const spending = this.#options.accounts?.open(job, request, {
        budget: limits.budget ?? (() => ({})),
        onVoid: () => {
          this.#loseClaim(claim);
        },
      });
      if (spending !== undefined) {
        run.spending = spending;
        claim.keepWhile(() => spending.isPaid);
      }
      const routed = await this.#router.run(request, {
        ...context,
        ...(spending && { spending }),
      });
      const terminal: TerminalEvent = {
        type: 'execution_success',
        data: { prompt_id: job.promptId, timestamp: clock.now() },
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
      if (stopReason(claim.surrendered) === 'claim_lost') return 'lost';
      const reason = stopReason(claim.signal);
      if (reason === 'shutdown' || reason === 'preempted') return 'hand-back';
      if (reason !== 'interrupt' && !job.cancelled && !isStoppedThere(cause, reason)) {
        logFailure(log, cause, reason);
      }
      const terminal = describeFailure(job, cause, {
        reason,
        timestamp: clock.now(),
        jobTimeoutMs: limitMs,
        attempts: report.attempts,
      });
      reporter.served(report);
      const outcome = terminal.type === 'execution_interrupted' ? 'interrupted' : 'error';
      return ended(outcome, reporter, terminal, report, partialOf(cause));
    } finally {
      clearTimeout(deadline);
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
