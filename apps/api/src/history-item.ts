import type { JobRecord } from '@tiercel/queue';

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
  // ComfyUI calls an interrupted run an error too (transcript 08).
  interrupted: '"error","completed":false',
} as const;

export function isEnded(job: JobRecord): job is JobRecord & { state: keyof typeof STATUS } {
  return job.state in STATUS;
}

export function executionStatusText(job: JobRecord & { state: keyof typeof STATUS }): string {
  return `{"status_str":${STATUS[job.state]},"messages":${job.messagesText}}`;
}

/** One entry of GET /history; `tiercel` says what served the job (invariant 11). */
export function historyItemText(job: JobRecord & { state: keyof typeof STATUS }): string {
  return (
    `{"prompt":${queueItemText(job)},"outputs":${job.outputsText},` +
    `"status":${executionStatusText(job)},"meta":${job.metaText},"tiercel":${job.reportText}}`
  );
}
