/** Ends of tries, as a bounded set for metrics. */
export type WebhookCount = 'delivered' | 'retry' | 'dead' | 'dropped';

/** What this process did with deliveries since it started. */
export class WebhookCounters {
  readonly #counts: Record<WebhookCount, number> = { delivered: 0, retry: 0, dead: 0, dropped: 0 };

  add(outcome: WebhookCount, count = 1): void {
    this.#counts[outcome] += count;
  }

  read(): Readonly<Record<WebhookCount, number>> {
    return { ...this.#counts };
  }
}
