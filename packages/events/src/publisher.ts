import {
  EMIT_LUA,
  encodeClient,
  frameText,
  stringifyJson,
  type Preview,
  type RedisNames,
  type WireEvent,
} from '@tiercel/contracts';
import { LuaScript, type Clock, type Redis } from '@tiercel/runtime';
import { encodePreview } from './preview-message.ts';

/** The job that events belong to, and who hears them. */
export interface EventScope {
  readonly promptId: string;
  readonly clientId: string | undefined;
}

export interface PublisherOptions {
  readonly eventsPerJob: number;
}

/** A reconnecting socket is shown the last preview; keeping every one would only fill Redis' log. */
const KEEP_PREVIEW_EVERY_MS = 1_000;
/** A running sampler makes a new one long before; one of an ended job goes by itself. */
const PREVIEW_TTL_SECONDS = 120;

const emitScript = new LuaScript(`${EMIT_LUA}
local frames = {}
for i = 5, #ARGV, 2 do frames[#frames + 1] = { ARGV[i], 1, tonumber(ARGV[i + 1]) } end
emit(ARGV[1], ARGV[2], 'E', ARGV[3], ARGV[4], frames)
`);

/**
 * Writes a job's events while it runs: into its stream, and to whoever listens. Commands go out in
 * order on one connection, so events arrive in the order in which they are published.
 */
export class EventPublisher {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #options: PublisherOptions;
  readonly #clock: Clock;
  readonly #previewKeptAt = new Map<string, number>();

  constructor(redis: Redis, names: RedisNames, options: PublisherOptions, clock: Clock) {
    this.#redis = redis;
    this.#names = names;
    this.#options = options;
    this.#clock = clock;
  }

  async publish(scope: EventScope, events: readonly WireEvent[]): Promise<void> {
    const args: (string | number)[] = [
      scope.promptId,
      encodeClient(scope.clientId),
      this.#options.eventsPerJob,
    ];
    for (const event of events) {
      const isProgress = event.type === 'progress' || event.type === 'progress_state';
      args.push(frameText(event.type, event.data, stringifyJson), isProgress ? 1 : 0);
    }
    await emitScript.run(this.#redis, this.#names.prefix, args);
  }

  /** Sends a preview to live sockets. It goes just ahead of the progress event it belongs to. */
  async publishPreview(scope: EventScope, preview: Preview): Promise<void> {
    const message = encodePreview(preview);
    const now = this.#clock.now();
    const sent: Promise<unknown>[] = [];
    const isPicture = preview.mediaType !== 'text/plain';
    if (
      isPicture &&
      now - (this.#previewKeptAt.get(scope.promptId) ?? 0) >= KEEP_PREVIEW_EVERY_MS
    ) {
      this.#previewKeptAt.set(scope.promptId, now);
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

  /** Drops what is remembered of a job that ended. */
  forget(promptId: string): void {
    this.#previewKeptAt.delete(promptId);
  }
}
