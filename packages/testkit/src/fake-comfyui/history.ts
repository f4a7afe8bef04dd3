import type { JsonObject } from '@tiercel/contracts';
import type { Journal } from './journal.ts';

const MAX_ITEMS = 10_000;

/** What is left of finished prompts, oldest first (wire 7.4 to 7.8). */
export class FakeHistory {
  readonly #items = new Map<string, JsonObject>();
  readonly #journal: Journal;

  /** @param keeps whether what earlier processes finished is still there */
  constructor(journal: Journal, keeps: boolean) {
    this.#journal = journal;
    if (!keeps) {
      this.lose();
      return;
    }
    for (const entry of journal.entries) {
      if (entry.kind === 'history') this.#items.set(entry.promptId, entry.item);
      if (entry.kind === 'history-delete') this.#remove(entry.ids);
      if (entry.kind === 'history-lost') this.#items.clear();
    }
  }

  add(promptId: string, item: JsonObject): void {
    this.#journal.record({ kind: 'history', promptId, item });
    this.#items.set(promptId, item);
    if (this.#items.size <= MAX_ITEMS) return;
    const [oldest] = this.#items.keys();
    if (oldest !== undefined) this.#items.delete(oldest);
  }

  delete(ids: readonly string[] | 'clear'): void {
    this.#journal.record({ kind: 'history-delete', ids });
    this.#remove(ids);
  }

  /** Forgets everything without anyone having asked for it. */
  lose(): void {
    this.#journal.record({ kind: 'history-lost' });
    this.#items.clear();
  }

  one(promptId: string): JsonObject {
    const item = this.#items.get(promptId);
    return item === undefined ? {} : { [promptId]: item };
  }

  /** @param page undefined: the parameter was not given */
  page(page: { maxItems: number | undefined; offset: number | undefined }): JsonObject {
    const entries = [...this.#items];
    const { maxItems } = page;
    let offset = page.offset ?? -1;
    // Without an offset: the last ones.
    if (offset < 0) offset = maxItems === undefined ? 0 : Math.max(0, entries.length - maxItems);
    const end = maxItems === undefined ? entries.length : Math.max(offset, offset + maxItems);
    return Object.fromEntries(entries.slice(offset, end));
  }

  #remove(ids: readonly string[] | 'clear'): void {
    if (ids === 'clear') this.#items.clear();
    else for (const id of ids) this.#items.delete(id);
  }
}
