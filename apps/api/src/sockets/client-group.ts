import type { EventMessage, Preview } from '@tiercel/contracts';
import { isNewer, type ChannelListener } from '@tiercel/events';
import type { Snapshot } from './snapshot.ts';
import { linesAfter, sendFrames } from './job-frames.ts';
import type { SocketSession } from './socket-session.ts';

/** A socket that is being told what it missed; live messages wait behind that. */
interface Joining {
  readonly backlog: { message: EventMessage; preview: Preview | undefined }[];
}

/**
 * The sockets of one client id in this process, and their ear on the client's channel. All of them are
 * served (ComfyUI serves only the newest).
 */
export class ClientGroup implements ChannelListener {
  readonly #members = new Map<SocketSession, Joining | 'live'>();
  /** Preview that goes with the next message of its job. */
  readonly #previews = new Map<string, Preview>();
  readonly #onTerminalDelivered: (promptId: string) => void;

  constructor(onTerminalDelivered: (promptId: string) => void) {
    this.#onTerminalDelivered = onTerminalDelivered;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** Adds a socket that still has to be told what it missed. */
  join(session: SocketSession): void {
    this.#members.set(session, { backlog: [] });
  }

  leave(session: SocketSession): void {
    this.#members.delete(session);
  }

  /** Sends the snapshot and what came meanwhile; from now on the socket is served live. */
  catchUp(session: SocketSession, snapshot: Snapshot): void {
    const member = this.#members.get(session);
    if (member === undefined || member === 'live') return;
    const heard = new Set(
      member.backlog
        .filter(({ message }) => message.terminal)
        .map(({ message }) => message.promptId),
    );
    for (const ended of snapshot.ended) {
      if (heard.has(ended.promptId)) continue;
      const lines = ended.frames.map((frame) => ({ id: '-', frame }));
      sendFrames(session, lines, undefined, () => {
        this.#onTerminalDelivered(ended.promptId);
      });
    }
    for (const { state } of snapshot.running) {
      const lines = [state.executing, state.progressState].flatMap((frame) =>
        frame === undefined ? [] : [{ id: '-', frame }],
      );
      sendFrames(session, lines, undefined);
      // Last: a frontend drops a node's previews when it first hears that the node runs.
      if (state.preview !== undefined) session.sendPreview(state.preview);
    }
    const lastIds = new Map(
      snapshot.running.map(({ promptId, state }) => [promptId, state.lastId]),
    );
    for (const { message, preview } of member.backlog) {
      this.#deliver(session, message, preview, lastIds.get(message.promptId));
    }
    this.#members.set(session, 'live');
  }

  onPreview(preview: Preview): void {
    if (preview.mediaType === 'text/plain') {
      // Text belongs to no progress step: it is sent as it comes.
      for (const [session, member] of this.#members) {
        if (member === 'live') session.sendPreview(preview);
      }
      return;
    }
    this.#previews.set(preview.promptId, preview);
  }

  onEvents(message: EventMessage): void {
    const preview = this.#previews.get(message.promptId);
    this.#previews.delete(message.promptId);
    for (const [session, member] of this.#members) {
      if (member === 'live') this.#deliver(session, message, preview, undefined);
      else member.backlog.push({ message, preview });
    }
  }

  #deliver(
    session: SocketSession,
    message: EventMessage,
    preview: Preview | undefined,
    lastId: string | undefined,
  ): void {
    const lines = linesAfter(message, lastId, isNewer);
    const { promptId, terminal } = message;
    sendFrames(
      session,
      lines,
      preview,
      terminal
        ? () => {
            this.#onTerminalDelivered(promptId);
          }
        : undefined,
    );
  }
}
