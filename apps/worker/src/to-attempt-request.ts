import { isFallbackPolicy, isJsonObject, parseJson, type PromptGraph } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import type { TakenJob } from '@tiercel/queue';
import type { AttemptRequest } from '@tiercel/routing';
import { openSecrets } from '@tiercel/runtime';

/** A queued job as tiers see it. The API has validated its texts. */
export function toAttemptRequest(
  job: TakenJob,
  startedAt: number,
  options: { readonly jobTimeoutMs: number; readonly secretKey: Uint8Array },
): AttemptRequest {
  const extra = parseJson(job.extraText);
  const { fallback, cache } = isJsonObject(extra) ? extra : {};
  const { sealedSecrets } = job;
  const graph = parseJson(job.promptText) as unknown as PromptGraph;
  return {
    tenant: job.tenant,
    promptId: job.promptId,
    graph,
    analysis: new GraphAnalysis(graph, job.outputIds),
    promptText: job.promptText,
    extraDataText: job.extraText,
    outputIds: job.outputIds,
    resumeToken: job.resumeToken,
    fallback: isFallbackPolicy(fallback) ? fallback : undefined,
    cache: typeof cache === 'boolean' ? cache : undefined,
    deadlineMs: startedAt + options.jobTimeoutMs,
    secretsText:
      sealedSecrets === undefined ? undefined : openSecrets(options.secretKey, sealedSecrets),
  };
}
