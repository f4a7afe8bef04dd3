import type { ServerResponse } from 'node:http';
import { isJsonObject, parseJson } from '@tiercel/contracts';
import type { JobRecord } from '@tiercel/queue';

/** What a header may hold. */
const PLAIN = /^[\x20-\x7e]+$/;

/**
 * Wire forms of a job record, spliced from its stored texts: the prompt goes out digit for digit as it
 * came in.
 */

/** `[number, prompt_id, prompt, extra_data, outputs_to_execute]` of GET /queue and of history. */
export function queueItemText(job: JobRecord): string {
  return `[${job.number},${JSON.stringify(job.id)},${job.promptText},${job.extraText},${job.targetsText}]`;
}

const STATUS = {
  success: '"success","completed":true',
  error: '"error","completed":false',
  // ComfyUI calls an interrupted run an error too (wire 7.7).
  interrupted: '"error","completed":false',
} as const;

export function isEnded(job: JobRecord): job is JobRecord & { state: keyof typeof STATUS } {
  return job.state in STATUS;
}

export function executionStatusText(job: JobRecord & { state: keyof typeof STATUS }): string {
  return `{"status_str":${STATUS[job.state]},"messages":${job.messagesText}}`;
}

/** What served one job, for tools that look at headers only (invariant 11). Names of tiers are plain text. */
export function setServedBy(res: ServerResponse, { reportText }: JobRecord): void {
  const report = parseJson(reportText);
  if (!isJsonObject(report) || !isJsonObject(report.served_by)) return;
  const { tier, model } = report.served_by;
  if (typeof tier === 'string') res.setHeader('X-Tiercel-Served-By', tier);
  if (typeof model === 'string' && PLAIN.test(model)) res.setHeader('X-Tiercel-Model', model);
  res.setHeader('X-Tiercel-Degraded', String(report.degraded === true));
  if (report.cached === true) res.setHeader('X-Tiercel-Cached', 'true');
}

/** One entry of GET /history; `tiercel` says what served the job (invariant 11). */
export function historyItemText(job: JobRecord & { state: keyof typeof STATUS }): string {
  return (
    `{"prompt":${queueItemText(job)},"outputs":${job.outputsText},` +
    `"status":${executionStatusText(job)},"meta":${job.metaText},"tiercel":${job.reportText}}`
  );
}
