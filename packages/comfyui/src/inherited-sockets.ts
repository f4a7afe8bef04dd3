import type { ComfySocket } from './comfy-socket.ts';

type Socket = Pick<ComfySocket, 'close' | 'renew'>;

/**
 * Sockets under the client ids of workers that are gone, or were taken for gone: ComfyUI sends what a prompt tells to the client id
 * that it was submitted with, so whoever goes on with the prompt listens there too. One for each client id,
 * however many of its prompts are taken over: a second one would take the first one's frames.
 */
export class InheritedSockets {
  readonly #connect: (clientId: string) => Socket;
  readonly #held = new Map<string, { readonly socket: Socket; holders: number }>();

  constructor(connect: (clientId: string) => Socket) {
    this.#connect = connect;
  }

  /** Listens until what is returned is called. */
  hold(clientId: string): () => void {
    const held = this.#held.get(clientId) ?? { socket: this.#connect(clientId), holders: 0 };
    held.holders += 1;
    this.#held.set(clientId, held);
    return () => {
      held.holders -= 1;
      if (held.holders > 0) return;
      this.#held.delete(clientId);
      void held.socket.close();
    };
  }

  /**
   * It says nothing. When the worker that is gone had not quite left, its goodbye came after our hello, and
   * ComfyUI has forgotten us with it (wire 2.5).
   */
  renew(clientId: string): void {
    this.#held.get(clientId)?.socket.renew();
  }

  closeAll(): void {
    for (const { socket } of this.#held.values()) void socket.close();
    this.#held.clear();
  }
}
