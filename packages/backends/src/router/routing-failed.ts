import type { AttemptReport, ServiceReport } from '@tiercel/contracts';
import { lowerGraph } from '@tiercel/graph';
import type { AttemptRequest } from '../backend.ts';
import { AttemptError, JobError, serviceError } from '../failures.ts';
import type { TierChoice } from './choose-tiers.ts';

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
 * What the caller is told when no tier served the job: the node that asked for the picture, the attempts and
 * what was not tried, in words for a person. Other errors than those of attempts stay as they are.
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
  const [code, message] = headline(error, run.tier, tried.length > 0);
  const { details } = serviceError(code, `${message}\n${[...tried, ...untried].join('')}`);
  const blamed = run.request.graph;
  const [stage] = lowerGraph(blamed, run.request.outputIds).stages;
  return new JobError(
    code,
    {
      ...details,
      node_id: stage?.nodeId ?? '',
      node_type: stage?.classType ?? '',
      traceback: [...tried, ...untried],
    },
    { cause: error },
  );
}

function headline(
  error: AttemptError | undefined,
  tier: string | undefined,
  hasTried: boolean,
): ['content_refused' | 'request_rejected' | 'no_tier', string] {
  if (error?.class === 'safety') {
    return ['content_refused', `${tier ?? 'The service'} refused the content of this prompt.`];
  }
  if (error?.class === 'caller') {
    return ['request_rejected', `${tier ?? 'The service'} rejected what this prompt asks for.`];
  }
  return hasTried
    ? ['no_tier', 'No tier could serve this job.']
    : ['no_tier', 'No tier can run this prompt.'];
}
