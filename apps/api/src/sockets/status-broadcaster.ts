import { startTimer } from '@tiercel/runtime';

/** Sockets served before the event loop gets its turn again. */
const SLICE = 50;

export function statusFrame(queueRemaining: number, sid?: string): string {
  const sidMember = sid === undefined ? '' : `,"sid":${JSON.stringify(sid)}`;
  return `{"type":"status","data":{"status":{"exec_info":{"queue_remaining":${queueRemaining}}}${sidMember}}}`;
}

/**
 * Tells every socket how many jobs are in the queue, at most once per interval: the first change at
 * once, then the latest of each interval. Goes through the sockets in slices, so that a job's own
 * frames need not wait for thousands of others.
 */
export class StatusBroadcaster<S> {
  readonly #intervalMs: () => number;
  readonly #sockets: () => Iterable<S>;
  readonly #send: (socket: S, frame: Buffer) => void;
  #latest = 0;
  #sent: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #slice: NodeJS.Immediate | undefined;

  constructor(options: {
    intervalMs: () => number;
    sockets: () => Iterable<S>;
    send: (socket: S, frame: Buffer) => void;
  }) {
    this.#intervalMs = options.intervalMs;
    this.#sockets = options.sockets;
    this.#send = options.send;
  }

  /** The last number received. */
  get latest(): number {
    return this.#latest;
  }

  update(queueRemaining: number): void {
    this.#latest = queueRemaining;
    this.#timer ??= this.#start();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#slice);
  }

  #start(): NodeJS.Timeout | undefined {
    const sockets = this.#broadcast();
    // Nobody was sent it: who comes next gets the next change at once.
    if (sockets === 0) return undefined;
    return startTimer(() => {
      this.#timer = undefined;
      if (this.#sent !== this.#latest) this.update(this.#latest);
    }, this.#intervalMs());
  }

  /** Returns how many sockets it was sent to. */
  #broadcast(): number {
    const sockets = [...this.#sockets()];
    // A round that is not through goes on: starting anew each time would starve the last sockets.
    if (this.#slice !== undefined) return sockets.length;
    this.#sent = this.#latest;
    const frame = Buffer.from(statusFrame(this.#latest), 'utf8');
    const sendSlice = (from: number) => {
      this.#slice = undefined;
      for (const socket of sockets.slice(from, from + SLICE)) this.#send(socket, frame);
      if (from + SLICE < sockets.length) {
        this.#slice = setImmediate(() => {
          sendSlice(from + SLICE);
        });
      }
    };
    sendSlice(0);
    return sockets.length;
  }
}
