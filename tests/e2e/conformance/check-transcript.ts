import { isJsonObject, type JsonObject, type JsonValue } from '@tiercel/contracts';
import { compareFrames } from './compare-frames.ts';
import { compareValues, type Mismatch } from './compare.ts';
import { collapseSteps, findTimedPrompts, toPlainFrames } from './frame-steps.ts';
import { readRemaining } from './milestones.ts';
import { isMachineRoute, normalise, renameTempFiles, shapeOf } from './normalise.ts';
import type { Replayed } from './replay.ts';
import { RACING } from './scenario-facts.ts';
import type {
  RecordedExchange,
  RecordedMessage,
  RecordedResponse,
  Transcript,
} from './transcript.ts';

/** Everything in which a replay is not as its recording. */
export function checkTranscript(transcript: Transcript, replayed: Replayed): Mismatch[] {
  const { name } = transcript;
  const theirs = renameTempFiles(toJson(transcript), new Map());
  const ours = renameTempFiles(toJson(describeReplay(transcript, replayed)), new Map());
  const answers = theirs.http.flatMap((exchange, index) => {
    const actual = ours.http[index];
    if (actual === undefined) throw new Error('the replay left out a request');
    return compareAnswers(name, exchange, actual.response);
  });
  const frames = Object.entries(theirs.ws).flatMap(([socket, { messages }]) => {
    const place = `${name} ${socket}`;
    const actual = ours.ws[socket]?.messages ?? [];
    return [
      ...compareStatuses(place, messages, actual),
      ...compareSocket(place, messages, actual, RACING.has(name)),
    ];
  });
  return [...answers, ...frames];
}

/** The replay as a recording of its own. */
function describeReplay(transcript: Transcript, replayed: Replayed): Transcript {
  const http = transcript.http.flatMap((exchange, index) => {
    const response = replayed.responses[index];
    return response === undefined ? [] : [{ ...exchange, response }];
  });
  const sockets = [...replayed.sockets].map(([name, messages]) => [name, { query: '', messages }]);
  return { ...transcript, http, ws: Object.fromEntries(sockets) as Transcript['ws'] };
}

/** A transcript is JSON, but an interface is no JsonObject to TypeScript. */
function toJson(transcript: Transcript): Transcript & JsonObject {
  return transcript as unknown as Transcript & JsonObject;
}

function compareAnswers(
  transcript: string,
  { request, response }: RecordedExchange,
  actual: RecordedResponse,
): Mismatch[] {
  const place = `${transcript} ${request.method} ${request.path}`;
  if (response.status !== actual.status) {
    const status = { place, path: '/status', recorded: response.status, actual: actual.status };
    if (actual.status < 400 || actual.text === '' || hasErrorShape(actual.json)) return [status];
    return [status, { place, path: '/error', recorded: undefined, actual: actual.json ?? null }];
  }
  if ([400, 403].includes(actual.status) && response.text === '' && hasErrorShape(actual.json)) {
    return [{ place, path: '/refusal', recorded: '', actual: actual.json }];
  }
  const plain = (answer: RecordedResponse): JsonValue => {
    const { json, ...rest } = answer;
    const parts = normalise({ ...rest });
    if (json === undefined || !isJsonObject(parts)) return parts;
    return { ...parts, json: isMachineRoute(request.path) ? shapeOf(json) : normalise(json) };
  };
  return compareValues(place, plain(response), plain(asRecorded(request.path, response, actual)));
}

/** Whether it is the `{error: {type, message, ...}, node_errors}` that clients read of any refusal. */
function hasErrorShape(json: JsonValue | undefined): boolean {
  if (!isJsonObject(json) || !isJsonObject(json.error) || !isJsonObject(json.node_errors))
    return false;
  return typeof json.error.type === 'string' && typeof json.error.message === 'string';
}

/** The recorder kept only the keys of the long histories of recording 16. */
function asRecorded(
  path: string,
  recorded: RecordedResponse,
  actual: RecordedResponse,
): RecordedResponse {
  const keysOnly = path.startsWith('/history') && Array.isArray(recorded.json);
  if (!keysOnly || !isJsonObject(actual.json)) return actual;
  return { ...actual, json: Object.keys(actual.json) };
}

function compareSocket(
  place: string,
  recorded: readonly RecordedMessage[],
  actual: readonly RecordedMessage[],
  isRacing: boolean,
): Mismatch[] {
  const theirs = toPlainFrames(recorded, isRacing);
  const timed = findTimedPrompts(theirs);
  const ours = collapseSteps(toPlainFrames(actual, isRacing), timed);
  return compareFrames(place, collapseSteps(theirs, timed), ours);
}

/** A number of jobs that was true for so long is told, however often the queue changes. */
const LASTING_MS = 250;

/**
 * Of the `status` broadcasts some may be left out: that is one mismatch. A number that never was is
 * another, and so is one that was not told though it stood for long.
 */
function compareStatuses(
  place: string,
  recorded: readonly RecordedMessage[],
  actual: readonly RecordedMessage[],
): Mismatch[] {
  const [theirs, ours] = [readStatuses(recorded), readStatuses(actual)];
  const at = `${place} status`;
  const [known, received] = [theirs.map(({ value }) => value), ours.map(({ value }) => value)];
  const invented = received
    .filter((value) => !known.includes(value))
    .map((value) => ({ place: at, path: '/invented', recorded: undefined, actual: value }));
  const missing = theirs
    .filter(({ value, lastedMs }) => lastedMs > LASTING_MS && !received.includes(value))
    .map(({ value }) => ({ place: at, path: '/untold', recorded: value, actual: undefined }));
  if (known.join() === received.join()) return [];
  return [
    ...invented,
    ...missing,
    { place: at, path: '/broadcasts', recorded: known, actual: received },
  ];
}

function readStatuses(messages: readonly RecordedMessage[]): { value: number; lastedMs: number }[] {
  const statuses = messages.flatMap((message) =>
    'text' in message
      ? readRemaining(message.text).map((value) => ({ value, at: message.at }))
      : [],
  );
  const end = messages.at(-1)?.at ?? 0;
  return statuses.map(({ value, at }, index) => {
    const changed = statuses.slice(index).find((later) => later.value !== value);
    return { value, lastedMs: (changed?.at ?? end) - at };
  });
}
