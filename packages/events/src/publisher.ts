import {
  boundedFrame,
  DEFAULT_TENANT,
  encodeClient,
  frameText,
  jobIdOf,
  joblessMessage,
  PICTURE_TYPE,
  stringifyJson,
  type ClaimId,
  type JobId,
  type Preview,
  type RedisNames,
  type WireEvent,
} from '@tiercel/contracts';
import type { Clock, Redis } from '@tiercel/runtime';
import { emitScript } from './lua/emit.ts';
import { showPreviewScript } from './lua/show-preview.ts';
import { encodePreview } from './preview-message.ts';
import { readEmitted, type EmittedBefore } from './emitted-before.ts';

/** The run of a job that events belong to, and who is sent them. */
export interface EventScope {
  readonly tenant: string;
  readonly promptId: string;
  readonly clientId: string | undefined;
  readonly claimId: ClaimId;
}

export interface PublisherOptions {
  /** Batches kept for replay, and their bytes. */
  readonly eventsPerJob: number;
  readonly eventBytesPerJob: number;
  readonly eventsTtlSeconds: number;
  /** Of one event, and about that of one message. */
  readonly maxEventBytes: number;
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
 * What every socket is sent of a job without a client, as in ComfyUI. The only `execution_error` that is sent
 * while a job runs says that one of its branches is blocked.
 */
const FOR_ALL: ReadonlySet<string> = new Set(['progress', 'progress_state', 'execution_error']);

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

  /**
   * An event over `maxEventBytes` is cut (see boundedFrame).
   * @returns false when the run's claim is void: nothing was published
   */
  async publish(scope: EventScope, events: readonly WireEvent[]): Promise<boolean> {
    const { maxEventBytes } = this.#options;
    const sent: Promise<boolean>[] = [];
    let frames: (string | number)[] = [];
    let bytes = 0;
    for (const event of events) {
      const frame = boundedFrame(event.type, event.data, maxEventBytes);
      const frameBytes = Buffer.byteLength(frame);
      if (bytes > 0 && bytes + frameBytes > maxEventBytes) {
        sent.push(this.#send(scope, frames));
        frames = [];
        bytes = 0;
      }
      frames.push(frame, slotOf(event), FOR_ALL.has(event.type) ? 1 : 0);
      bytes += frameBytes;
    }
    if (frames.length > 0) sent.push(this.#send(scope, frames));
    return (await Promise.all(sent)).every(Boolean);
  }

  #send(scope: EventScope, frames: readonly (string | number)[]): Promise<boolean> {
    const state = this.#stateOf(scope);
    const batch = {
      prefix: this.#names.prefix,
      id: jobIdOf(scope.tenant, scope.promptId),
      claim: scope.claimId,
      batch: (state.batches += 1),
      waits: 1,
      client: encodeClient(scope.tenant, scope.clientId),
      max_batches: this.#options.eventsPerJob,
      max_bytes: this.#options.eventBytesPerJob,
      ttl_s: this.#options.eventsTtlSeconds,
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

  /**
   * Sends a message that is no job's to every socket of DEFAULT_TENANT: nobody can tell whose job made a server say it.
   * It is kept nowhere; one over `maxEventBytes` is dropped.
   */
  async publishToEveryone({ type, data }: WireEvent): Promise<void> {
    const frame = frameText(type, data, stringifyJson);
    if (Buffer.byteLength(frame) > this.#options.maxEventBytes) return;
    await this.#redis.publish(this.#names.everyoneChannel(DEFAULT_TENANT), joblessMessage(frame));
  }

  /**
   * Sends a preview to live sockets. It goes just ahead of the progress event it belongs to. One over
   * `maxEventBytes` is not sent: the next one may be smaller.
   * @returns false when the run's claim is void
   */
  async publishPreview(scope: EventScope, preview: Preview): Promise<boolean> {
    if (preview.bytes.byteLength > this.#options.maxEventBytes) return true;
    const now = this.#clock.now();
    const state = this.#stateOf(scope);
    const isPicture = preview.mediaType !== 'text/plain';
    const isKept = isPicture && now - state.previewKeptAt >= KEEP_PREVIEW_EVERY_MS;
    if (isKept) state.previewKeptAt = now;
    return await showPreviewScript.run(this.#redis, {
      prefix: this.#names.prefix,
      id: jobIdOf(scope.tenant, scope.promptId),
      claim: scope.claimId,
      client: encodeClient(scope.tenant, scope.clientId),
      message: encodePreview(preview),
      keep_s: isKept ? PREVIEW_TTL_SECONDS : 0,
    });
  }

  /** What was emitted of a job by an earlier run; undefined when nothing is on record. */
  readEmitted(job: JobId): Promise<EmittedBefore | undefined> {
    return readEmitted(this.#redis, this.#names.jobState(job));
  }

  #stateOf(scope: EventScope): RunState {
    const known = this.#runs.get(scope);
    if (known !== undefined) return known;
    const state: RunState = { batches: 0, last: Promise.resolve(true), previewKeptAt: 0 };
    this.#runs.set(scope, state);
    return state;
  }
}

/** Where event-log.lua keeps an event. */
function slotOf({ type, data }: WireEvent): string {
  const { node } = data as { node?: unknown };
  switch (type) {
    case 'progress':
      return `=progress ${typeof node === 'string' ? node : ''}`;
    case 'progress_state':
      return '=progress_state';
    case 'executing':
    case 'execution_cached':
      return `+${type}`;
    case PICTURE_TYPE: {
      const { node_id: nodeId } = (node ?? {}) as { node_id?: unknown };
      return `+picture ${typeof nodeId === 'string' ? nodeId : ''}`;
    }
    default:
      return '';
  }
}
