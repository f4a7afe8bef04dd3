/** Entries that come within this time are deleted together. */
const COLLECT_MS = 300;

/**
 * Takes ended prompts off a server's history, those of a while in one request: it is tidying up, and must not
 * compete with the jobs that are under way.
 */
export class HistoryDeletes {
  readonly #delete: (ids: readonly string[]) => Promise<void>;
  #ids: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(deleteThem: (ids: readonly string[]) => Promise<void>) {
    this.#delete = deleteThem;
  }

  add(id: string): void {
    this.#ids.push(id);
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, COLLECT_MS);
  }

  /** Does not wait any longer. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ids = this.#ids;
    this.#ids = [];
    // A server that is away has other troubles than some entries too many.
    if (ids.length > 0) this.#delete(ids).catch(() => undefined);
  }
}
