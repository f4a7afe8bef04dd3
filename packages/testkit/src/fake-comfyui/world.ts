import type { Catalogue } from './catalogue.ts';
import type { Executor } from './executor.ts';
import type { Faults } from './faults.ts';
import type { FakeFiles } from './files.ts';
import type { FakeHistory } from './history.ts';
import type { Journal } from './journal.ts';
import type { FakeSettings } from './options.ts';
import type { PromptQueue } from './prompt-queue.ts';
import type { FakeSockets } from './sockets.ts';

/** The parts of one fake server. */
export interface FakeWorld {
  readonly settings: FakeSettings;
  readonly files: FakeFiles;
  readonly catalogue: Catalogue;
  readonly sockets: FakeSockets;
  readonly executor: Executor;
  readonly queue: PromptQueue;
  readonly history: FakeHistory;
  readonly faults: Faults;
  readonly journal: Journal;
  /** `GET /view` -> how often it was asked. */
  readonly requests: Map<string, number>;
}
