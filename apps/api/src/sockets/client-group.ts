import type { EventLine, EventMessage, Preview } from '@tiercel/contracts';
import { isNewer, type ChannelListener } from '@tiercel/events';
import { executingFrame, isForEveryone, readPictureFrame, sendFrames } from './job-frames.ts';
import type { MissedJob } from './missed-jobs.ts';
import type { Snapshot } from './snapshot.ts';
import type { SocketSession } from './socket-session.ts';

interface ReceivedMessage {
  readonly message: EventMessage;
  readonly preview: Preview | undefined;
}

/** Up to where a socket knows of jobs by other means than live messages. */
interface Knowledge {
  /** It was sent ends up to this one, or they were before its time: none of them is sent from the records. */
  endId: string;
  /** By job: the newest event that it was sent. */
  readonly lastIds: Map<string, string>;
}

/** Newer than any event: the job has ended, and all of it was sent. */
const ALL_OF_IT = `${Number.MAX_SAFE_INTEGER}-0.0`;
/** Live messages of a job whose end was sent from the records come no later than this. */
const LATE_MESSAGES_MS = 10_000;

/**
 * - `joining`: a new socket, to be sent a snapshot first;
 * - `behind`: the subscription had a gap, and what it hid is still to be read;
 * - `live`.
 * Live messages wait behind the first two.
 */
type Member =
  | { readonly kind: 'joining'; readonly backlog: Backlog }
  | { readonly kind: 'behind'; readonly knows: Knowledge; readonly backlog: Backlog }
  | { readonly kind: 'live'; readonly knows: Knowledge };

interface Backlog {
  readonly received: ReceivedMessage[];
  characters: number;
}

const newBacklog = (): Backlog => ({ received: [], characters: 0 });

export interface GroupOptions {
  readonly onEndDelivered: (promptId: string) => void;
  readonly onPictureDelivered: (line: EventLine) => void;
  /** What may wait for a socket that is joining or behind; with more it is closed, and comes back. */
  readonly maxBacklogCharacters: number;
  /** The group of all sockets: it is sent what everybody is sent of a job without a client. */
  readonly isEveryone?: boolean;
}

/** WebSocket close code "try again later". */
const TRY_AGAIN_LATER = 1013;
/** Of so many jobs the newest event is remembered: not every end is received (those of jobs without a client). */
const MAX_JOBS_REMEMBERED = 1_000;

/**
 * The sockets of one client id in this process, and their listener on the client's channel. All of them are
 * served (ComfyUI serves only the newest). Each is sent each event once, in order, whether it comes
 * live, in the snapshot for a new socket, or from the records after a gap.
 */
export class ClientGroup implements ChannelListener {
  readonly #members = new Map<SocketSession, Member>();
  /** Preview that goes with the next message of its job. */
  readonly #previews = new Map<string, Preview>();
  /** The newest event that was received of each running job; during a gap, before it. */
  readonly #lastIds = new Map<string, string>();
  /** During a gap: what is received of jobs meanwhile, undefined for an end. */
  #later: Map<string, string | undefined> | undefined;
  readonly #options: GroupOptions;

  constructor(options: GroupOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** Adds a socket that still has to be sent what it missed; again, when that has to be read anew. */
  join(session: SocketSession): void {
    this.#members.set(session, { kind: 'joining', backlog: newBacklog() });
  }

  /** Adds a socket that has missed nothing up to an end, or during a gap nothing before it. */
  admit(session: SocketSession, { endId, isBehind }: { endId: string; isBehind: boolean }): void {
    const knows = { endId, lastIds: new Map<string, string>() };
    this.#members.set(
      session,
      isBehind ? { kind: 'behind', knows, backlog: newBacklog() } : { kind: 'live', knows },
    );
  }

  leave(session: SocketSession): void {
    this.#members.delete(session);
  }

  /** Sends the snapshot and what came meanwhile; from now on the socket is served live. */
  catchUp(session: SocketSession, snapshot: Snapshot): void {
    const member = this.#members.get(session);
    if (member?.kind !== 'joining') return;
    for (const { promptId, pictures, frames } of snapshot.ended) {
      this.#sendPictures(session, pictures);
      const lines = frames.map((frame) => ({ id: '-', frame }));
      this.#send(session, lines, undefined, promptId);
    }
    for (const { pictures, state } of snapshot.running) {
      this.#sendPictures(session, pictures);
      const lines = [state.executing, state.progressState].flatMap((frame) =>
        frame === undefined ? [] : [{ id: '-', frame }],
      );
      this.#send(session, lines, undefined, undefined);
      // Last: a frontend drops a node's previews when it first receives that the node runs.
      if (state.preview !== undefined) session.sendPreview(state.preview);
    }
    const lastIds = new Map(
      snapshot.running.map(({ promptId, state }) => [promptId, state.lastId]),
    );
    const knows: Knowledge = { endId: snapshot.endId, lastIds };
    for (const { promptId } of snapshot.ended) markAllSent(knows, promptId);
    for (const received of member.backlog.received) this.#deliver(session, knows, received);
    this.#members.set(session, { kind: 'live', knows });
  }

  /** Pictures without metadata belong to the node that executes: the event comes first. */
  #sendPictures(session: SocketSession, pictures: readonly EventLine[]): void {
    for (const line of pictures) {
      const picture = readPictureFrame(line.frame);
      if (picture === undefined) continue;
      const executing = executingFrame(picture.node.node_id, picture.prompt_id);
      this.#send(session, [{ id: '-', frame: executing }, line], undefined, undefined);
    }
  }

  /** The subscription is interrupted: what comes waits until `resume`. */
  fallBehind(): void {
    this.#previews.clear();
    this.#later ??= new Map();
    for (const [session, member] of this.#members) {
      if (member.kind !== 'live') continue;
      this.#members.set(session, { ...member, kind: 'behind', backlog: newBacklog() });
    }
  }

  /** The newest event that was received of a job, before the gap if there is one; undefined when none was. */
  lastIdOf(promptId: string): string | undefined {
    return this.#lastIds.get(promptId);
  }

  /**
   * Sends sockets that are behind what a gap hid of one job.
   * @returns whether that was anything
   */
  sendMissed(job: MissedJob): boolean {
    const { promptId, endId, lines, end, preview } = job;
    let isNews = false;
    for (const [session, member] of this.#members) {
      if (member.kind !== 'behind') continue;
      const { knows } = member;
      if (endId !== undefined && !isNewer(endId, knows.endId)) continue;
      const news = [
        ...this.#chooseLines(this.#newLines(knows, promptId, lines), { isOfEnd: false }),
        ...this.#chooseLines(end, { isOfEnd: true }),
      ];
      if (news.length > 0) {
        this.#send(session, news, undefined, endId === undefined ? undefined : promptId);
        if (preview !== undefined) session.sendPreview(preview);
        isNews = true;
      }
      const last = lines.findLast(({ id }) => id !== '-');
      if (endId !== undefined) {
        knows.endId = endId;
        markAllSent(knows, promptId);
      } else if (last !== undefined) {
        knows.lastIds.set(promptId, last.id);
      }
    }
    const last = lines.findLast(({ id }) => id !== '-');
    // Should another gap come before `resume`, it is read from there.
    if (endId !== undefined) this.#lastIds.delete(promptId);
    else if (last !== undefined) this.#lastIds.set(promptId, last.id);
    return isNews;
  }

  /** Everything that a gap hid has been sent: what came meanwhile follows, then live messages. */
  resume(): void {
    for (const [session, member] of this.#members) {
      if (member.kind !== 'behind') continue;
      for (const received of member.backlog.received)
        this.#deliver(session, member.knows, received);
      this.#members.set(session, { kind: 'live', knows: member.knows });
    }
    const later = this.#later ?? [];
    this.#later = undefined;
    for (const [promptId, lastId] of later) this.#noteReceived(promptId, lastId);
  }

  /** For what cannot be sent any more: the clients come back and get a snapshot. */
  closeBehind(code: number, reason: string): void {
    for (const [session, member] of this.#members) {
      if (member.kind === 'behind') session.close(code, reason);
    }
  }

  onPreview(preview: Preview): void {
    if (preview.mediaType === 'text/plain') {
      // Text belongs to no progress step: it is sent as it comes.
      for (const [session, member] of this.#members) {
        if (member.kind === 'live') session.sendPreview(preview);
      }
      return;
    }
    this.#previews.set(preview.promptId, preview);
  }

  onEvents(message: EventMessage): void {
    const { promptId } = message;
    const preview = this.#previews.get(promptId);
    this.#previews.delete(promptId);
    const last = message.lines.findLast(({ id }) => id !== '-');
    if (message.terminal) this.#noteReceived(promptId, undefined);
    else if (last !== undefined) this.#noteReceived(promptId, last.id);
    const received = { message, preview };
    for (const [session, member] of this.#members) {
      if (member.kind === 'live') this.#deliver(session, member.knows, received);
      else this.#keepFor(session, member.backlog, received);
    }
  }

  /** @param lastId undefined: it has ended */
  #noteReceived(promptId: string, lastId: string | undefined): void {
    if (this.#later !== undefined) {
      this.#later.set(promptId, lastId);
      return;
    }
    if (lastId === undefined) this.#lastIds.delete(promptId);
    else this.#lastIds.set(promptId, lastId);
    if (this.#lastIds.size <= MAX_JOBS_REMEMBERED) return;
    // Maps keep insertion order: the first key is the oldest job.
    for (const oldest of this.#lastIds.keys()) {
      this.#lastIds.delete(oldest);
      return;
    }
  }

  #keepFor(session: SocketSession, backlog: Backlog, received: ReceivedMessage): void {
    backlog.received.push(received);
    for (const { frame } of received.message.lines) backlog.characters += frame.length;
    if (backlog.characters <= this.#options.maxBacklogCharacters) return;
    backlog.received.length = 0;
    session.close(TRY_AGAIN_LATER, 'too much to catch up with');
  }

  #deliver(session: SocketSession, knows: Knowledge, { message, preview }: ReceivedMessage): void {
    const { promptId, terminal, endId } = message;
    const isSentAlready = knows.lastIds.get(promptId) === ALL_OF_IT;
    if (terminal) knows.lastIds.delete(promptId);
    if (isSentAlready) return;
    if (!terminal) {
      this.#send(session, this.#newLines(knows, promptId, message.lines), preview, undefined);
      return;
    }
    if (endId !== undefined && isNewer(endId, knows.endId)) knows.endId = endId;
    this.#send(session, message.lines, preview, promptId);
  }

  #chooseLines(
    lines: readonly EventLine[],
    { isOfEnd }: { readonly isOfEnd: boolean },
  ): readonly EventLine[] {
    if (this.#options.isEveryone !== true) return lines;
    return lines.filter(({ frame }) => isForEveryone(frame, { isOfEnd }));
  }

  /** What a socket has not been sent of a running job. */
  #newLines(
    { lastIds }: Knowledge,
    promptId: string,
    lines: readonly EventLine[],
  ): readonly EventLine[] {
    const lastId = lastIds.get(promptId);
    if (lastId === undefined) return lines;
    return lines.filter(({ id }) => id === '-' || isNewer(id, lastId));
  }

  #send(
    session: SocketSession,
    lines: readonly EventLine[],
    preview: Preview | undefined,
    endedId: string | undefined,
  ): void {
    sendFrames(session, lines, preview, {
      onPicture: this.#options.onPictureDelivered,
      onLast:
        endedId === undefined
          ? undefined
          : () => {
              this.#options.onEndDelivered(endedId);
            },
    });
  }
}

/** For a while: the id may be used for another job later. */
function markAllSent({ lastIds }: Knowledge, promptId: string): void {
  lastIds.set(promptId, ALL_OF_IT);
  setTimeout(() => {
    if (lastIds.get(promptId) === ALL_OF_IT) lastIds.delete(promptId);
  }, LATE_MESSAGES_MS).unref();
}
