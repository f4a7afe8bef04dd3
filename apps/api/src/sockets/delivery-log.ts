import type { EventLine } from '@tiercel/contracts';
import type { EventReplay } from '@tiercel/events';
import type { Logger } from '@tiercel/runtime';

interface Delivered {
  readonly endedIds: string[];
  readonly pictures: EventLine[];
}

/**
 * What has been handed to the operating system for a socket of its client, and so is off the client's
 * lists of what it missed. Redis is written to once per turn of the event loop.
 */
export class DeliveryLog {
  readonly #replay: EventReplay;
  readonly #log: Logger;
  #delivered = new Map<string, Delivered>();

  constructor(replay: EventReplay, log: Logger) {
    this.#replay = replay;
    this.#log = log;
  }

  noteEnd(client: string, promptId: string): void {
    this.#of(client).endedIds.push(promptId);
  }

  notePicture(client: string, line: EventLine): void {
    this.#of(client).pictures.push(line);
  }

  #of(client: string): Delivered {
    if (this.#delivered.size === 0) {
      setImmediate(() => {
        this.#write();
      });
    }
    let delivered = this.#delivered.get(client);
    if (delivered === undefined) {
      delivered = { endedIds: [], pictures: [] };
      this.#delivered.set(client, delivered);
    }
    return delivered;
  }

  #write(): void {
    const all = this.#delivered;
    this.#delivered = new Map();
    for (const [client, { endedIds, pictures }] of all) {
      Promise.all([
        this.#replay.acknowledge(client, endedIds),
        this.#replay.acknowledgePictures(client, pictures),
      ]).catch((error: unknown) => {
        this.#log.debug({ err: error }, 'delivery not noted: it may be told twice');
      });
    }
  }
}
