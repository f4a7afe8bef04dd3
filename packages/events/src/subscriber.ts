import {
  clientKeyOf,
  DEFAULT_TENANT,
  jobIdOf,
  parseEventMessage,
  type EventMessage,
  type JobId,
  type Preview,
  type RedisNames,
} from '@tiercel/contracts';
import type { Logger, Redis } from '@tiercel/runtime';
import { parseControl, type ControlMessage } from './control.ts';
import { decodePreview, isPreviewMessage } from './preview-message.ts';
import { Pulse } from './pulse.ts';
import { isNewer, NO_END } from './replay.ts';

/** What a listener on a channel receives. */
export interface ChannelListener {
  onEvents(message: EventMessage): void;
  onPreview(preview: Preview): void;
}

/** Told of times in which messages may have been missed. */
export interface GapListener {
  /** What is published from now on may be missed. Called at once, before anything later is received. */
  onGap(): void;
  /** Every channel is received again. What was published since `onGap` must be read from the records. */
  onWhole(): void;
}

export interface SubscriberOptions {
  /** For subscriptions only; it must not subscribe again by itself (role `subscriber`). */
  readonly subscriberConnection: Redis;
  /** For commands, to the same Redis. */
  readonly redis: Redis;
  readonly names: RedisNames;
  /** Unique among the processes of the installation. */
  readonly processId: string;
  readonly log: Logger;
}

/** Channels in one SUBSCRIBE: a process may listen to thousands. */
const CHANNELS_AT_ONCE = 500;
const RETRY_MS = 500;
/** See queue-status.lua. */
const STATUS = /^(\d+)(?: (.+))?$/s;

/**
 * One process's subscriber connection to Redis: a single connection, subscribed to exactly the channels somebody in this
 * process listens to.
 *
 * Redis drops a subscriber that is behind, restarts, fails over; networks are cut. Each time messages are
 * lost, and nothing in the protocol says so. So the connection subscribes again by its own hand, and the
 * gap lasts from the moment in which it was lost until Redis has confirmed every channel: listeners are
 * told of both. A connection that looks alive and receives nothing is found out by a pulse (see Pulse) and
 * ended; then the same happens.
 */
export class EventSubscriber {
  readonly #subscriberConnection: Redis;
  readonly #names: RedisNames;
  readonly #log: Logger;
  readonly #pulse: Pulse;
  readonly #events = new Map<string, Set<ChannelListener>>();
  readonly #plain = new Map<string, (text: string) => void>();
  readonly #gapListeners = new Set<GapListener>();
  #gaps = 0;
  /** Counts connections: what was confirmed on an earlier one is worth nothing. */
  #connection = 0;
  #isWhole = true;
  #lastEndId = NO_END;
  #isStopped = false;

  constructor({ subscriberConnection, redis, names, processId, log }: SubscriberOptions) {
    this.#subscriberConnection = subscriberConnection;
    this.#names = names;
    this.#log = log;
    this.#pulse = new Pulse({
      redis,
      names,
      processId,
      isListening: () => this.#isWhole && subscriberConnection.status === 'ready',
      onEndId: (endId) => {
        this.#noteEnd(endId);
      },
      onSilence: () => {
        log.warn('the subscription hears nothing: its connection is replaced');
        subscriberConnection.disconnect(true);
      },
    });
    subscriberConnection.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      this.#dispatch(channel.toString('utf8'), message);
    });
    subscriberConnection.on('close', () => {
      this.#connection += 1;
      this.#noteGap();
    });
    subscriberConnection.on('ready', () => {
      if (!this.#isWhole) void this.#subscribeAgain();
    });
  }

  /** Gaps so far. Who reads a record while this changes has to read it again. */
  get gaps(): number {
    return this.#gaps;
  }

  /** False during a gap. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Resolves when every channel is received. */
  whole(): Promise<void> {
    if (this.#isWhole) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.onGap({
        onGap: () => undefined,
        onWhole: () => {
          stop();
          resolve();
        },
      });
    });
  }

  /**
   * The newest end of a job that is known to have been received: every end up to it, in the channels that
   * were listened to, was.
   */
  get lastEndId(): string {
    return this.#lastEndId;
  }

  onGap(listener: GapListener): () => void {
    this.#gapListeners.add(listener);
    return () => this.#gapListeners.delete(listener);
  }

  /** Begins to watch that it receives. */
  async start(): Promise<void> {
    await this.#onPlain(this.#pulse.channel, (text) => {
      this.#pulse.receive(text);
    });
    this.#pulse.start();
  }

  stop(): void {
    this.#isStopped = true;
    this.#pulse.stop();
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
      return;
    }
    const events = parseEventMessage(message.toString('utf8'));
    for (const listener of [...listeners]) listener.onEvents(events);
    if (events.endId !== undefined) this.#noteEnd(events.endId);
  }

  #noteEnd(endId: string): void {
    if (this.#isWhole && isNewer(endId, this.#lastEndId)) this.#lastEndId = endId;
  }

  #noteGap(): void {
    if (!this.#isWhole || this.#isStopped) return;
    this.#isWhole = false;
    this.#gaps += 1;
    for (const listener of [...this.#gapListeners]) listener.onGap();
  }

  async #subscribeAgain(): Promise<void> {
    const connection = this.#connection;
    const isLost = () => connection !== this.#connection || this.#isStopped;
    // Whoever wants another channel meanwhile subscribes to it himself.
    const channels = [...this.#plain.keys(), ...this.#events.keys()];
    for (let at = 0; at < channels.length; at += CHANNELS_AT_ONCE) {
      try {
        await this.#subscriberConnection.subscribe(...channels.slice(at, at + CHANNELS_AT_ONCE));
      } catch (error) {
        if (isLost()) return; // the next connection begins anew
        this.#log.warn({ err: error }, 'the subscription could not be restored; trying again');
        setTimeout(() => {
          if (!isLost()) void this.#subscribeAgain();
        }, RETRY_MS).unref();
        return;
      }
      if (isLost()) return;
    }
    this.#isWhole = true;
    for (const listener of [...this.#gapListeners]) listener.onWhole();
  }

  /**
   * Listens to the frames of one client of a tenant. Resolves once Redis has the subscription: what is published from
   * then on is received.
   * @returns how to stop listening
   */
  listenToClient(
    client: string,
    listener: ChannelListener,
    tenant = DEFAULT_TENANT,
  ): Promise<() => void> {
    return this.#listen(this.#names.clientChannel(clientKeyOf(tenant, client)), listener);
  }

  /** @param promptId as the tenant knows the job */
  listenToJob(
    promptId: string,
    listener: ChannelListener,
    tenant = DEFAULT_TENANT,
  ): Promise<() => void> {
    return this.#listen(this.#names.jobChannel(jobIdOf(tenant, promptId)), listener);
  }

  /** Listens to what every socket of a tenant is sent. */
  listenToEveryone(listener: ChannelListener, tenant = DEFAULT_TENANT): Promise<() => void> {
    return this.#listen(this.#names.everyoneChannel(tenant), listener);
  }

  /** The number of jobs that a tenant has in the queue, at each change. */
  onStatus(handle: (queueRemaining: number, tenant: string) => void): Promise<void> {
    return this.#onPlain(this.#names.statusChannel, (text) => {
      const [, count, tenant = DEFAULT_TENANT] = STATUS.exec(text) ?? [];
      handle(Number(count), tenant);
    });
  }

  /** Interrupts: the id of a running job that is to stop. */
  onInterrupt(handle: (job: JobId) => void): Promise<void> {
    return this.#onPlain(this.#names.interruptChannel, (id) => {
      handle(id as JobId); // as its record has it
    });
  }

  /** A worker came, changed what it offers, or went. */
  onWorkersChanged(handle: () => void): Promise<void> {
    return this.#onPlain(this.#names.workersChannel, handle);
  }

  /** Jobs wait that not every worker can run: of which kind, as `judgeJob` has it. */
  onJobsReady(handle: (kind: string) => void): Promise<void> {
    return this.#onPlain(this.#names.readyChannel, handle);
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
    await this.#subscriberConnection.subscribe(channel);
  }

  async #listen(channel: string, listener: ChannelListener): Promise<() => void> {
    let listeners = this.#events.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#events.set(channel, listeners);
    }
    listeners.add(listener);
    // Subscribing twice is harmless, and the reply also tells a second listener that the first's is in place.
    await this.#subscriberConnection.subscribe(channel);
    return () => {
      const current = this.#events.get(channel);
      current?.delete(listener);
      if (current?.size === 0) {
        this.#events.delete(channel);
        this.#subscriberConnection.unsubscribe(channel).catch(() => undefined);
      }
    };
  }
}
