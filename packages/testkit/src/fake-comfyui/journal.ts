import { createHash } from 'node:crypto';
import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson, stringifyJson, type JsonObject, type JsonValue } from '@tiercel/contracts';

/** A prompt that was accepted or refused. */
export interface ReceivedPrompt {
  readonly promptId: string;
  readonly clientId: string | null;
  readonly number: number;
  readonly isAccepted: boolean;
  /** As it was posted. */
  readonly body: JsonObject;
}

export interface ReceivedUpload {
  /** The name it was stored under. */
  readonly name: string;
  readonly subfolder: string;
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** One thing that happened to the server; what tests ask about outlives its process. */
export type JournalEntry =
  | { readonly kind: 'prompt'; readonly prompt: ReceivedPrompt }
  | { readonly kind: 'upload'; readonly upload: ReceivedUpload }
  /** The prompt that was named; null: whatever runs. */
  | { readonly kind: 'interrupt'; readonly promptId: string | null }
  | { readonly kind: 'history-delete'; readonly ids: readonly string[] | 'clear' }
  | { readonly kind: 'queue-delete'; readonly ids: readonly string[] | 'clear' }
  | { readonly kind: 'free'; readonly body: JsonValue }
  /** A prompt began to execute. */
  | { readonly kind: 'run'; readonly promptId: string }
  /** A node was computed, not taken from the cache. */
  | { readonly kind: 'node'; readonly promptId: string; readonly nodeId: string }
  | { readonly kind: 'history'; readonly promptId: string; readonly item: JsonObject }
  /** History was lost, as it is when ComfyUI ends. */
  | { readonly kind: 'history-lost' };

/** Everything that happened, also before this process: one line of JSON each, written at once. */
export class Journal {
  readonly entries: JournalEntry[];
  readonly #file: number;

  constructor(folder: string) {
    const path = join(folder, 'journal.jsonl');
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    // A kill may have cut the last line short. The file holds what `record` wrote.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    this.entries = lines
      .filter((line) => line !== '')
      .map((line) => parseJson(line) as unknown as JournalEntry);
    this.#file = openSync(path, 'a');
  }

  record(entry: JournalEntry): void {
    // History has its own place in memory.
    if (entry.kind !== 'history') this.entries.push(entry);
    writeSync(this.#file, `${stringifyJson(entry)}\n`);
  }
}

export function hashBytes(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
