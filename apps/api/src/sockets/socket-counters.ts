/** What an API process counts of its sockets and event streams, since its start. */
export class SocketCounters {
  #gaps = 0;
  #previewsDropped = 0;
  readonly #repaired = { end: 0, state: 0, stream: 0 };
  readonly #slowClosed = { socket: 0, stream: 0 };

  gap(): void {
    this.#gaps += 1;
  }

  /**
   * After a gap something was sent late: the end of a job, where a running one is, or an event stream was
   * brought up to date.
   */
  repaired(kind: 'end' | 'state' | 'stream'): void {
    this.#repaired[kind] += 1;
  }

  previewDropped(): void {
    this.#previewsDropped += 1;
  }

  slowClosed(kind: 'socket' | 'stream'): void {
    this.#slowClosed[kind] += 1;
  }

  read(): Readonly<{
    gaps: number;
    previewsDropped: number;
    repaired: Readonly<Record<'end' | 'state' | 'stream', number>>;
    slowClosed: Readonly<Record<'socket' | 'stream', number>>;
  }> {
    return {
      gaps: this.#gaps,
      previewsDropped: this.#previewsDropped,
      repaired: { ...this.#repaired },
      slowClosed: { ...this.#slowClosed },
    };
  }
}
