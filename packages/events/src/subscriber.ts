import {
  parseEventMessage,
  type EventMessage,
  type Preview,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import { parseControl, type ControlMessage } from './control.ts';
import { decodePreview, isPreviewMessage } from './preview-message.ts';

/** What a listener on a channel hears. */
export interface ChannelListener {
  onEvents(message: EventMessage): void;
  onPreview(preview: Preview): void;
}

/**
 * One process's ear on Redis: a single connection, subscribed to exactly the channels somebody in this
 * process listens to. ioredis subscribes again by itself after a reconnect.
 */
export class EventSubscriber {
  readonly #redis: Redis;
  readonly #names: RedisNames;
  readonly #events = new Map<string, Set<ChannelListener>>();
  readonly #plain = new Map<string, (text: string) => void>();

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
    redis.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      this.#dispatch(channel.toString('utf8'), message);
    });
  }

  #dispatch(channel: string, message: Buffer): void {
    const plain = this.#plain.get(channel);
    if (plain !== undefined) {
      plain(message.toString('utf8'));
      return;
    }
    const listeners = this.#events.get(channel);
    if (listeners === undefined) return;
    if (isPreviewMessage(message)) {
      const preview = decodePreview(message);
      for (const listener of [...listeners]) listener.onPreview(preview);
    } else {
      const events = parseEventMessage(message.toString('utf8'));
      for (const listener of [...listeners]) listener.onEvents(events);
    }
  }

  /**
   * Listens to one client's frames. Resolves once Redis has the subscription: what is published from
   * then on is heard.
   * @returns how to stop listening
   */
  listenToClient(clientId: string, listener: ChannelListener): Promise<() => void> {
    return this.#listen(this.#names.clientChannel(clientId), listener);
  }

  listenToJob(promptId: string, listener: ChannelListener): Promise<() => void> {
    return this.#listen(this.#names.jobChannel(promptId), listener);
  }

  listenToEveryone(listener: ChannelListener): Promise<() => void> {
    return this.#listen(this.#names.everyoneChannel, listener);
  }

  /** The number of jobs in the queue, at each change. */
  onStatus(handle: (queueRemaining: number) => void): Promise<void> {
    return this.#onPlain(this.#names.statusChannel, (text) => {
      handle(Number(text));
    });
  }

  /** Interrupts: the id of a running job that is to stop. */
  onBell(handle: (promptId: string) => void): Promise<void> {
    return this.#onPlain(this.#names.bellChannel, handle);
  }

  /** A worker came, changed what it offers, or went. */
  onAnnounce(handle: () => void): Promise<void> {
    return this.#onPlain(this.#names.announceChannel, handle);
  }

  /** Orders for every worker; what cannot be read (another version's) is passed over. */
  onControl(handle: (message: ControlMessage) => void): Promise<void> {
    return this.#onPlain(this.#names.controlChannel, (text) => {
      const message = parseControl(text);
      if (message !== undefined) handle(message);
    });
  }

  async #onPlain(channel: string, handle: (text: string) => void): Promise<void> {
    this.#plain.set(channel, handle);
    await this.#redis.subscribe(channel);
  }

  async #listen(channel: string, listener: ChannelListener): Promise<() => void> {
    let listeners = this.#events.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#events.set(channel, listeners);
    }
    listeners.add(listener);
    // Subscribing twice is harmless, and the reply also tells a second listener that the first's is in place.
    await this.#redis.subscribe(channel);
    return () => {
      const current = this.#events.get(channel);
      current?.delete(listener);
      if (current?.size === 0) {
        this.#events.delete(channel);
        this.#redis.unsubscribe(channel).catch(() => undefined);
      }
    };
  }
}
