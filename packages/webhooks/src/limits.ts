import type { WebhooksConfig } from '@tiercel/runtime';

/** Shortest time between two progress deliveries of a job to one receiver. */
const PROGRESS_EVERY_MS = 2_000;

/** Deliveries under way at once of one tenant to receivers that failed last, and as many to new ones. */
const PER_CLASS = 2;

/** Limits as the scripts take them, in one argument. */
export function toLimitsText(config: WebhooksConfig): string {
  return JSON.stringify({
    per_tenant: config.perTenant,
    per_receiver: config.perReceiver,
    per_class: PER_CLASS,
    max_waiting: config.maxWaiting,
    log_items: config.logItems,
    log_bytes: config.logBytes,
    total_items: config.logTotalItems,
    total_bytes: config.logTotalBytes,
    log_ms: config.logForMs,
    progress_ms: PROGRESS_EVERY_MS,
  });
}
