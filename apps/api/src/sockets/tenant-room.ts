import type { EventReplay, EventSubscriber } from '@tiercel/events';
import type { Reader } from '@tiercel/queue';
import type { Logger } from '@tiercel/runtime';
import { ClientGroup } from './client-group.ts';
import { DeliveryLog } from './delivery-log.ts';
import type { SocketSession } from './socket-session.ts';
import { StatusBroadcaster, statusFrame } from './status-broadcaster.ts';

interface TenantRoomParts {
  readonly subscriber: EventSubscriber;
  readonly reader: Reader;
  readonly replay: EventReplay;
  readonly log: Logger;
  readonly statusIntervalMs: () => number;
  readonly maxBacklogCharacters: number;
}

/** What all sockets of one tenant share in this process. */
export class TenantRoom {
  readonly #open = new Set<SocketSession>();
  /** Those that have been sent their first frame: it comes before all others. */
  readonly #served = new Set<SocketSession>();
  /** All its sockets: they are sent the progress of jobs without a client. */
  readonly group: ClientGroup;
  /** The number of its jobs in the queue. */
  readonly status: StatusBroadcaster<SocketSession>;
  readonly deliveries: DeliveryLog;
  readonly reader: Reader;
  readonly replay: EventReplay;
  readonly #tenant: string;
  readonly #subscriber: EventSubscriber;
  #listening: Promise<() => void> | undefined;
  #isListening = false;

  constructor(tenant: string, parts: TenantRoomParts) {
    const { subscriber, reader, replay, log, statusIntervalMs, maxBacklogCharacters } = parts;
    this.#tenant = tenant;
    this.#subscriber = subscriber;
    this.reader = reader.of(tenant);
    this.replay = replay.of(tenant);
    this.deliveries = new DeliveryLog(this.replay, log);
    this.group = new ClientGroup({
      onEndDelivered: () => undefined,
      onPictureDelivered: () => undefined,
      maxBacklogCharacters,
      isEveryone: true,
    });
    this.status = new StatusBroadcaster({
      intervalMs: statusIntervalMs,
      sockets: () => this.#served,
      send: (session, frame) => {
        session.sendText(frame);
      },
    });
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Whether it hears what its sockets are to be sent, and knows the number of its jobs. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Resolves when it listens. */
  async listen(): Promise<void> {
    this.#listening ??= this.#subscriber.listenToEveryone(this.group, this.#tenant);
    try {
      await this.#listening;
    } catch (error) {
      this.#listening = undefined;
      throw error;
    }
    if (!this.#isListening) await this.readStatus();
    this.#isListening = true;
  }

  async readStatus(): Promise<void> {
    this.status.update(await this.reader.countRemaining());
  }

  /** A socket is open; it is sent nothing yet. */
  enter(session: SocketSession): void {
    this.#open.add(session);
  }

  /** Sends a socket its first frame; from now on it is sent what all are sent. */
  serve(session: SocketSession, sid: string): void {
    const { lastEndId: endId, isWhole } = this.#subscriber;
    session.sendText(statusFrame(this.status.latest, sid));
    this.#served.add(session);
    this.group.admit(session, { endId, isBehind: !isWhole });
  }

  leave(session: SocketSession): void {
    this.#open.delete(session);
    this.#served.delete(session);
    this.group.leave(session);
  }

  /** Its last socket is gone. */
  stop(): void {
    this.status.stop();
    this.#listening?.then(
      (stop) => {
        stop();
      },
      () => undefined,
    );
  }
}
