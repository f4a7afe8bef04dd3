import { isJsonObject, parseJson, stringifyJson, type JsonValue } from '@tiercel/contracts';
import {
  connectSocket,
  http,
  letTimePass,
  until,
  type EventRecorder,
  type Frame,
  type RawResponse,
} from '@tiercel/testkit';
import { readPictureFacts } from './image-facts.ts';
import { lastMilestone, reachedBy, recordedRemaining } from './milestones.ts';
import { rebuildBody } from './rebuild-request.ts';
import { OTHER_CONTENT, REPLACED_BY, SENT_FRAMES } from './scenario-facts.ts';
import type {
  RecordedExchange,
  RecordedMessage,
  RecordedResponse,
  RecordedSocket,
  TextMessage,
  Transcript,
} from './transcript.ts';

/** What the system answered and sent, in the recording's own words: its prompt ids stand for ours. */
export interface Replayed {
  readonly responses: readonly RecordedResponse[];
  readonly sockets: ReadonlyMap<string, readonly RecordedMessage[]>;
}

/** A socket is opened a little before its first recorded frame. */
const OPENING_MS = 20;
/** A pause of the recording longer than this waited for the queue to empty. */
const PAUSE_MS = 100;
/** How long a client that dropped its socket is away. */
const MISSED_MS = 200;
const MILESTONE_TIMEOUT_MS = 15_000;
/** The recorded headers that are compared; the others belong to the HTTP server. */
const HEADERS = ['content-type', 'content-disposition', 'etag', 'last-modified', 'allow'];

/**
 * Does to the system at `url` what the recording's clients did to ComfyUI, in the same order. Where they
 * waited, it waits for what they had seen by then.
 */
export async function replay(transcript: Transcript, url: string): Promise<Replayed> {
  const session = new Session(transcript, url);
  await session.waitUntilIdle();
  for (const [index, exchange] of transcript.http.entries()) {
    await session.openSocketsUntil(exchange.at);
    await session.waitForRecorded(exchange.at);
    const pause = exchange.at - (transcript.http[index - 1]?.at ?? exchange.at);
    await session.waitForPause(exchange.at, pause);
    await session.exchange(exchange, index);
  }
  await session.openSocketsUntil(Infinity);
  await session.waitForRecorded(Infinity);
  await session.waitUntilIdle();
  return session.finish();
}

class Session {
  readonly #transcript: Transcript;
  readonly #url: string;
  readonly #sockets = new Map<string, EventRecorder>();
  /** Our prompt id by the recorded one. */
  readonly #ids = new Map<string, string>();
  readonly #responses: RecordedResponse[] = [];

  constructor(transcript: Transcript, url: string) {
    this.#transcript = transcript;
    this.#url = url;
  }

  async openSocketsUntil(at: number): Promise<void> {
    const due = Object.entries(this.#transcript.ws)
      .filter(([name, socket]) => !this.#sockets.has(name) && openedAt(socket) <= at)
      .sort(([, a], [, b]) => openedAt(a) - openedAt(b));
    for (const [name, socket] of due) await this.#open(name, socket);
  }

  async #open(name: string, recorded: RecordedSocket): Promise<void> {
    await this.waitForRecorded(openedAt(recorded));
    const key = `${this.#transcript.name} ${name}`;
    const predecessor = REPLACED_BY[key];
    if (predecessor !== undefined) {
      await this.#sockets.get(predecessor)?.close();
      // Nobody is connected who could see the steps that this client is to miss.
      await letTimePass(MISSED_MS);
    }
    const clientId = new URLSearchParams(recorded.query).get('clientId');
    const socket = await connectSocket(this.#url, clientId === null ? {} : { clientId });
    this.#sockets.set(name, socket);
    const sent = SENT_FRAMES[key] ?? [];
    for (const frame of sent) socket.send(frame);
    await socket.waitForText(sent.length > 0 ? 'feature_flags' : 'status');
  }

  /** Waits for what every open socket had been sent by then. */
  async waitForRecorded(at: number): Promise<void> {
    const sockets = [...this.#sockets].filter(([name]) => !this.#isReplaced(name));
    for (const [name, socket] of sockets) {
      const milestone = lastMilestone(this.#transcript.ws[name]?.messages ?? [], at);
      if (milestone === undefined) continue;
      const isReached = reachedBy(milestone, (id) => this.#ids.get(id) ?? id);
      await socket.waitFor(isReached, MILESTONE_TIMEOUT_MS);
    }
  }

  /** Where the recording paused, or had seen the queue empty, waits until it is empty. */
  async waitForPause(at: number, pauseMs: number): Promise<void> {
    const remaining = recordedRemaining(Object.values(this.#transcript.ws), at);
    if (remaining === 0 || (remaining === undefined && pauseMs > PAUSE_MS))
      await this.waitUntilIdle();
  }

  async waitUntilIdle(): Promise<void> {
    const isIdle = async (): Promise<boolean> => {
      const { text } = await http(this.#url).get('/prompt');
      return text === '{"exec_info":{"queue_remaining":0}}';
    };
    await until(isIdle, MILESTONE_TIMEOUT_MS);
  }

  async exchange({ request, response }: RecordedExchange, index: number): Promise<void> {
    const { name } = this.#transcript;
    const shade = OTHER_CONTENT[name]?.includes(index) === true ? 200 : 40;
    const { body, headers } = rebuildBody(this.#toOurs(request.body), shade);
    const answer = await http(this.#url).request(
      request.method,
      this.#idsToOurs(request.path),
      body,
      {
        headers: { ...request.headers, ...headers },
      },
    );
    if (request.method === 'POST' && request.path === '/prompt') this.#learnId(response, answer);
    this.#responses.push(this.#describe(answer, response));
  }

  #learnId(recorded: RecordedResponse, answer: RawResponse): void {
    const theirs = isJsonObject(recorded.json) ? recorded.json.prompt_id : undefined;
    const parsed = answer.status === 200 ? answer.json() : undefined;
    const ours = isJsonObject(parsed) ? parsed.prompt_id : undefined;
    if (typeof theirs !== 'string' || typeof ours !== 'string') return;
    if ([...this.#ids.values()].includes(ours)) throw new Error(`the id ${ours} was given twice`);
    this.#ids.set(theirs, ours);
  }

  #describe(answer: RawResponse, recorded: RecordedResponse): RecordedResponse {
    const received = HEADERS.flatMap((name) => {
      const value = answer.headers[name];
      return typeof value === 'string' ? [[name, value] as const] : [];
    });
    const head = { status: answer.status, headers: Object.fromEntries(received) };
    if (recorded.image !== undefined && answer.status === 200) {
      return { ...head, ...readPictureFacts(answer.bytes) };
    }
    const type = answer.headers['content-type'] ?? '';
    if (!type.startsWith('application/json')) return { ...head, text: answer.text };
    return { ...head, json: parseJson(this.#toTheirs(answer.text)) };
  }

  /** Lets every socket hear the last number of jobs, then ends them all. */
  async finish(): Promise<Replayed> {
    const sockets = new Map<string, readonly RecordedMessage[]>();
    for (const [name, socket] of this.#sockets) {
      if (!this.#isReplaced(name)) await until(() => remainingOf(socket.frames) === 0);
      sockets.set(
        name,
        socket.frames.map((frame) => this.#describeFrame(frame)),
      );
    }
    for (const socket of this.#sockets.values()) await socket.close();
    return { responses: this.#responses, sockets };
  }

  #describeFrame(frame: Frame): RecordedMessage {
    const at = frame.atMs;
    if (frame.kind === 'text') {
      // The comparison tells when it is not of this shape.
      return { at, text: parseJson(this.#toTheirs(frame.raw)) as unknown as TextMessage['text'] };
    }
    const header_hex = frame.raw.toString('hex', 0, 16);
    const event = frame.raw.readUInt32BE(0);
    if (frame.kind !== 'preview') return { at, binary: { event, header_hex } };
    if (frame.metadata === undefined) {
      return { at, binary: { event, header_hex, image_type: frame.raw.readUInt32BE(4) } };
    }
    // An object in every frame of event 4; the comparison tells when it is not.
    const metadata = parseJson(this.#toTheirs(JSON.stringify(frame.metadata))) as Record<
      string,
      JsonValue
    >;
    return {
      at,
      binary: { event, header_hex, metadata, image_magic: frame.image.toString('hex', 0, 4) },
    };
  }

  #isReplaced(name: string): boolean {
    return [...this.#sockets.keys()].some(
      (other) => REPLACED_BY[`${this.#transcript.name} ${other}`] === name,
    );
  }

  #toOurs(body: JsonValue | undefined): JsonValue | undefined {
    if (body === undefined || typeof body === 'string') return body;
    return parseJson(this.#idsToOurs(stringifyJson(body)));
  }

  #idsToOurs(text: string): string {
    let result = text;
    for (const [theirs, ours] of this.#ids) result = result.replaceAll(theirs, ours);
    return result;
  }

  #toTheirs(text: string): string {
    let result = text;
    for (const [theirs, ours] of this.#ids) result = result.replaceAll(ours, theirs);
    return result;
  }
}

function openedAt(socket: RecordedSocket): number {
  return (socket.messages[0]?.at ?? 0) - OPENING_MS;
}

function remainingOf(frames: readonly Frame[]): number | undefined {
  const status = frames.findLast((frame) => frame.kind === 'text' && frame.type === 'status');
  if (status?.kind !== 'text') return undefined;
  const match = /"queue_remaining":(\d+)/.exec(status.raw);
  return match === null ? undefined : Number(match[1]);
}
