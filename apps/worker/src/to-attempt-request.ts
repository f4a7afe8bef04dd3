import {
  isFallbackPolicy,
  isJsonObject,
  parseJson,
  type FallbackPolicy,
  type Omittable,
  type PromptGraph,
} from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import type { TakenJob } from '@tiercel/queue';
import type { AttemptRequest, TenantBudget } from '@tiercel/routing';
import { openSecrets } from '@tiercel/runtime';

/** What the plan of a job's tenant says of how it is run. Undefined: as the configuration says. */
export interface JobLimits {
  readonly fallback?: FallbackPolicy | undefined;
  /** What image services may leave out of its graph. */
  readonly mayOmit?: readonly Omittable[] | undefined;
  /** The tiers that may run it. */
  readonly tiers?: readonly string[] | undefined;
  /** Limit for one run, in ms. */
  readonly maxJobMs?: number | undefined;
  /** What its tenant may spend, as it is when it is asked. */
  readonly budget?: (() => TenantBudget) | undefined;
}

/** What a job is to run, read and analysed once. */
export interface JobGraph {
  readonly graph: PromptGraph;
  readonly analysis: GraphAnalysis;
}

/** The API has validated it. */
export function readGraph({ promptText, outputIds }: TakenJob): JobGraph {
  const graph = parseJson(promptText) as unknown as PromptGraph;
  return { graph, analysis: new GraphAnalysis(graph, outputIds) };
}

/** A queued job as tiers see it. The API has validated its texts. */
export function toAttemptRequest(
  job: TakenJob,
  { graph, analysis }: JobGraph,
  startedAt: number,
  options: {
    readonly jobTimeoutMs: number;
    readonly secretKey: Uint8Array;
    readonly limits: JobLimits;
  },
): AttemptRequest {
  const extra = parseJson(job.extraText);
  const { fallback, cache } = isJsonObject(extra) ? extra : {};
  const { sealedSecrets } = job;
  return {
    tenant: job.tenant,
    promptId: job.promptId,
    ...{ graph, analysis },
    promptText: job.promptText,
    extraDataText: job.extraText,
    outputIds: job.outputIds,
    resumeToken: job.resumeToken,
    fallback: isFallbackPolicy(fallback) ? fallback : options.limits.fallback,
    mayOmit: options.limits.mayOmit,
    allowedTiers: options.limits.tiers,
    cache: typeof cache === 'boolean' ? cache : undefined,
    deadlineMs: startedAt + options.jobTimeoutMs,
    secretsText:
      sealedSecrets === undefined ? undefined : openSecrets(options.secretKey, sealedSecrets),
  };
}
