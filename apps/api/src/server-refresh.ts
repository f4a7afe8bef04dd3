import { randomUUID } from 'node:crypto';
import type { RefreshScope } from '@tiercel/contracts';
import { inTime, startTimer, type Logger } from '@tiercel/runtime';

/** What is added on a server is known within two seconds of being asked for, or the answer goes without it. */
const WAIT_MS = 1_800;
/** From one refresh of a kind to the next: a catalogue is megabytes, a class or a list of files next to nothing. */
const PAUSE_MS = { all: 1_000, files: 250, classes: 250 } as const;
type Kind = keyof typeof PAUSE_MS;
/** Of one refresh. Who names more that nobody knows is refused for those first. */
const MAX_CLASSES = 32;

export interface ServerRefreshDeps {
  /** Whether a live worker has servers at all. */
  readonly hasServers: () => boolean;
  /** Sends the question to all workers. */
  readonly publish: (id: string, scope: RefreshScope) => Promise<void>;
  /** Whether every worker with servers has done that refresh, as far as it has said so. */
  readonly isAnswered: (id: string) => boolean;
  /** Tells of every new reading of the registry, until what is returned is called. */
  readonly onReading: (listener: () => void) => () => void;
  readonly log: Logger;
}

/** A refresh that is asked for and not sent yet: who asks meanwhile shares it. */
interface Planned {
  readonly classes: Set<string>;
  readonly done: Promise<void>;
}

/**
 * Asks the workers to look at their ComfyUI servers again before anything is refused or listed: models and classes
 * are added there at any time. Questions that come close together share one refresh, and those of a kind keep a
 * pause, however many bad prompts come.
 */
export class ServerRefresh {
  readonly #deps: ServerRefreshDeps;
  readonly #planned = new Map<Kind, Planned>();
  readonly #lastAt = new Map<Kind, number>();

  constructor(deps: ServerRefreshDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when the workers have looked, or when that takes too long. Never rejects.
   * @returns false, at once, when there is no server to look at
   */
  async ask(scope: RefreshScope): Promise<boolean> {
    if (!this.#deps.hasServers()) return false;
    const kind = typeof scope === 'string' ? scope : 'classes';
    const planned = this.#planned.get(kind) ?? this.#plan(kind);
    if (typeof scope !== 'string') {
      for (const name of scope) if (planned.classes.size < MAX_CLASSES) planned.classes.add(name);
    }
    await inTime(planned.done, WAIT_MS);
    return true;
  }

  #plan(kind: Kind): Planned {
    const now = performance.now();
    const inMs = Math.max(0, (this.#lastAt.get(kind) ?? -Infinity) + PAUSE_MS[kind] - now);
    this.#lastAt.set(kind, now + inMs);
    const classes = new Set<string>();
    const done = new Promise<void>((resolve) => {
      startTimer(() => {
        this.#planned.delete(kind);
        void this.#send(kind === 'classes' ? [...classes] : kind).then(resolve);
      }, inMs);
    });
    const planned = { classes, done };
    this.#planned.set(kind, planned);
    return planned;
  }

  async #send(scope: RefreshScope): Promise<void> {
    const { publish, isAnswered, onReading, log } = this.#deps;
    const id = randomUUID();
    let stop = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      stop = onReading(() => {
        if (isAnswered(id)) resolve();
      });
    });
    try {
      await publish(id, scope);
      await inTime(answered, WAIT_MS);
    } catch (error) {
      log.warn({ err: error }, 'workers could not be asked to look at their servers');
    } finally {
      stop();
    }
  }
}
