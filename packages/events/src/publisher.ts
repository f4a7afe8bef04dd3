import {
  encodeClient,
  frameText,
  joblessMessage,
  stringifyJson,
  type ClaimId,
  type Preview,
  type RedisNames,
  type WireEvent,
} from '@tiercel/contracts';
import type { Clock, Redis } from '@tiercel/runtime';
import { emitScript } from './lua/emit.ts';
import { encodePreview } from './preview-message.ts';

/** The run of a job that events belong to, and who hears them. */
export interface EventScope {
  readonly promptId: string;
  readonly clientId: string | undefined;
  readonly claimId: ClaimId;
}

export interface PublisherOptions {
  readonly eventsPerJob: number;
}

/** A reconnecting socket is shown the last preview; keeping every one would only fill Redis' log. */
const KEEP_PREVIEW_EVERY_MS = 1_000;
/** A running sampler makes a new one long before; one of an ended job goes by itself. */
const PREVIEW_TTL_SECONDS = 120;

/** What is known of a run's events while it lasts. */
interface RunState {
  batches: number;
  /** Settles with the last batch. */
  last: Promise<boolean>;
  previewKeptAt: number;
}

/**
 * What every socket is told of a job without a client, as in ComfyUI. The only `execution_error` that is told
 * while a job runs says that one of its branches is blocked.
 */
const FOR_ALL: ReadonlySet<string> = new Set(['progress', 'progress_state', 'execution_error']);

/** Of a message to everybody: it is sent to each of thousands of sockets. */
const MAX_MESSAGE_CHARACTERS = 1024 * 1024;

/**
 * Writes a job's events while it runs: into its stream, and to whoever listens. Commands go out in
 * order on one connection, so events arrive in the order in which they are published.
 */
export class EventPublisher {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #options: PublisherOptions;
  readonly #clock: Clock;
  /** By the scope itself: a job may have two runs for a moment, when the first is taken for dead. */
  readonly #runs = new WeakMap<EventScope, RunState>();

  constructor(redis: Redis, names: RedisNames, options: PublisherOptions, clock: Clock) {
    this.#redis = redis;
    this.#names = names;
    this.#options = options;
    this.#clock = clock;
  }

  /** @returns false when the run's claim is void: nothing was published */
  publish(scope: EventScope, events: readonly WireEvent[]): Promise<boolean> {
    const frames: (string | number)[] = [];
    for (const event of events) {
      const isForAll = FOR_ALL.has(event.type);
      frames.push(frameText(event.type, event.data, stringifyJson), isForAll ? 1 : 0);
    }
    const state = this.#stateOf(scope);
    const batch = {
      prefix: this.#names.prefix,
      id: scope.promptId,
      claim: scope.claimId,
      batch: (state.batches += 1),
      waits: 1,
      client: encodeClient(scope.clientId),
      max_entries: this.#options.eventsPerJob,
      frames,
    };
    state.last = this.#emit(batch, state.last);
    return state.last;
  }

  async #emit(
    batch: Parameters<typeof emitScript.run>[1],
    ahead: Promise<unknown>,
  ): Promise<boolean> {
    let reply = await emitScript.run(this.#redis, batch);
    if (reply === 'early') {
      // The one ahead is on its way again: Redis had forgotten the script. Or it has failed.
      await ahead.catch(() => undefined);
      reply = await emitScript.run(this.#redis, { ...batch, waits: 0 });
    }
    return reply === 'done';
  }

  /** Sends a message that is no job's to every socket. It is kept nowhere; one that is too large is dropped. */
  async publishToEveryone({ type, data }: WireEvent): Promise<void> {
    const frame = frameText(type, data, stringifyJson);
    if (frame.length > MAX_MESSAGE_CHARACTERS) return;
    await this.#redis.publish(this.#names.everyoneChannel, joblessMessage(frame));
  }

  /** Sends a preview to live sockets. It goes just ahead of the progress event it belongs to. */
  async publishPreview(scope: EventScope, preview: Preview): Promise<void> {
    const message = encodePreview(preview);
    const now = this.#clock.now();
    const sent: Promise<unknown>[] = [];
    const isPicture = preview.mediaType !== 'text/plain';
    const state = this.#stateOf(scope);
    if (isPicture && now - state.previewKeptAt >= KEEP_PREVIEW_EVERY_MS) {
      state.previewKeptAt = now;
      const key = this.#names.lastPreview(scope.promptId);
      sent.push(this.#redis.set(key, message, 'EX', PREVIEW_TTL_SECONDS));
    }
    if (scope.clientId === undefined) {
      sent.push(this.#redis.publish(this.#names.everyoneChannel, message));
    } else if (scope.clientId !== '') {
      sent.push(this.#redis.publish(this.#names.clientChannel(scope.clientId), message));
    }
    await Promise.all(sent);
  }

  #stateOf(scope: EventScope): RunState {
    const known = this.#runs.get(scope);
    if (known !== undefined) return known;
    const state: RunState = { batches: 0, last: Promise.resolve(true), previewKeptAt: 0 };
    this.#runs.set(scope, state);
    return state;
  }
}
