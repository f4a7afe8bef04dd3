import type { JsonValue } from '@tiercel/contracts';
import type { Journal, JournalEntry, ReceivedPrompt, ReceivedUpload } from './journal.ts';

/** What a fake server was asked and did; over its restarts too, but for `sockets` and `requests`. */
export interface FakeComfyUiState {
  readonly prompts: readonly ReceivedPrompt[];
  readonly uploads: readonly ReceivedUpload[];
  /** The prompt that each interrupt named; null: whatever runs. */
  readonly interrupts: readonly (string | null)[];
  readonly historyDeletes: readonly (readonly string[] | 'clear')[];
  readonly queueDeletes: readonly (readonly string[] | 'clear')[];
  /** The bodies of POST /free. */
  readonly frees: readonly JsonValue[];
  /** The client ids of the sockets that are connected. */
  readonly sockets: readonly string[];
  /** How often each prompt began to execute. */
  readonly runs: Readonly<Record<string, number>>;
  /** The nodes that were computed for each prompt, in their order; cached ones are not. */
  readonly computedNodes: Readonly<Record<string, readonly string[]>>;
  /** `GET /view` -> how often it was asked. */
  readonly requests: Readonly<Record<string, number>>;
}

type EntryOf<K extends JournalEntry['kind']> = Extract<JournalEntry, { kind: K }>;

/** Sums the journal up. */
export function describeState(
  journal: Journal,
  now: Pick<FakeComfyUiState, 'sockets' | 'requests'>,
): FakeComfyUiState {
  const all = <K extends JournalEntry['kind']>(kind: K): EntryOf<K>[] =>
    journal.entries.filter((entry): entry is EntryOf<K> => entry.kind === kind);
  const runs: Record<string, number> = {};
  for (const { promptId } of all('run')) runs[promptId] = (runs[promptId] ?? 0) + 1;
  const computedNodes: Record<string, string[]> = {};
  for (const { promptId, nodeId } of all('node')) (computedNodes[promptId] ??= []).push(nodeId);
  return {
    prompts: all('prompt').map(({ prompt }) => prompt),
    uploads: all('upload').map(({ upload }) => upload),
    interrupts: all('interrupt').map(({ promptId }) => promptId),
    historyDeletes: all('history-delete').map(({ ids }) => ids),
    queueDeletes: all('queue-delete').map(({ ids }) => ids),
    frees: all('free').map(({ body }) => body),
    runs,
    computedNodes,
    ...now,
  };
}
