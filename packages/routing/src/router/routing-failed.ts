import type { AttemptReport, ServiceReport } from '@tiercel/contracts';
import type { AttemptRequest } from '../backend.ts';
import { AttemptError, JobError, serviceError } from '../failures.ts';
import type { SkippedTier, TierChoice } from './choose-tiers.ts';

/** No tier served the job; `report` tells of all attempts made. */
export class RoutingFailed extends Error {
  readonly report: ServiceReport;

  constructor(cause: unknown, report: ServiceReport) {
    super('no tier served the job', { cause });
    this.name = 'RoutingFailed';
    this.report = report;
  }
}

/** An attempt in one line for a person. */
export function describeAttempt(attempt: AttemptReport): string {
  const { tier, driver, class: kind, ms, message } = attempt;
  return `${tier} (${driver}): ${kind} after ${ms} ms${message === undefined ? '' : `: ${message}`}\n`;
}

/**
 * What the caller is told when no tier served the job: one sentence with the node that is in the way of a
 * prompt that none can do; else the attempts and what was not tried, in words for a person. The traceback
 * has a line for each tier either way. Other errors than those of attempts stay as they are.
 */
export function describeExhausted(
  error: unknown,
  run: {
    request: AttemptRequest;
    choice: TierChoice;
    attempts: readonly AttemptReport[];
    /** Where `error` happened. */
    tier: string | undefined;
  },
): unknown {
  if (error !== undefined && !(error instanceof AttemptError)) return error;
  const tried = run.attempts.map(describeAttempt);
  const untried = run.choice.skipped
    .filter(({ kind }) => kind !== 'tried')
    .map(({ tier, reason }) => `${tier}: not tried: ${reason}\n`);
  const obstacle = tried.length === 0 ? findObstacle(run.choice) : undefined;
  const [code, message] = headline(error, run.tier, { hasTried: tried.length > 0, obstacle });
  const lines = [...tried, ...untried];
  const isSaid = obstacle?.node !== undefined;
  const { details } = serviceError(code, isSaid ? message : `${message}\n${lines.join('')}`);
  const [stage] = run.request.analysis.lowering.stages;
  const blamed = obstacle?.node ?? stage;
  return new JobError(
    code,
    {
      ...details,
      node_id: blamed?.nodeId ?? '',
      node_type: blamed?.classType ?? '',
      traceback: lines,
    },
    { cause: error },
  );
}

/** What keeps the best tier from a prompt that none can do, or that is too dear; a node in the way says more than none. */
function findObstacle({ skipped }: TierChoice): SkippedTier | undefined {
  const areAll = (...kinds: readonly SkippedTier['kind'][]) =>
    skipped.every(({ kind }) => kinds.includes(kind));
  const overBudget = skipped.find(({ kind }) => kind === 'budget');
  if (overBudget !== undefined && areAll('budget', 'unsupported', 'policy')) return overBudget;
  if (!areAll('unsupported')) return undefined;
  return skipped.find(({ node }) => node !== undefined) ?? skipped[0];
}

function headline(
  error: AttemptError | undefined,
  tier: string | undefined,
  { hasTried, obstacle }: { hasTried: boolean; obstacle: SkippedTier | undefined },
): ['content_refused' | 'request_rejected' | 'no_tier' | 'over_budget', string] {
  if (error?.class === 'safety') {
    return ['content_refused', `${tier ?? 'The service'} refused the content of this prompt.`];
  }
  if (error?.class === 'caller') {
    return ['request_rejected', `${tier ?? 'The service'} rejected what this prompt asks for.`];
  }
  if (hasTried) return ['no_tier', 'No tier could serve this job.'];
  if (obstacle?.kind === 'budget') {
    return [
      'over_budget',
      `No tier fits into what may be spent: ${obstacle.tier}: ${obstacle.reason}.`,
    ];
  }
  const reason = obstacle === undefined ? '' : `: ${obstacle.reason}`;
  return ['no_tier', `No tier can run this prompt${reason}.`];
}
