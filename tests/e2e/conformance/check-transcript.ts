import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import { compareFrames } from './compare-frames.ts';
import { compareValues, type Mismatch } from './compare.ts';
import { collapseSteps, findTimedPrompts, toPlainFrames } from './frame-steps.ts';
import { readRemaining } from './milestones.ts';
import { isMachineRoute, normalise, shapeOf } from './normalise.ts';
import type { Replayed } from './replay.ts';
import type { RecordedExchange, RecordedMessage, RecordedResponse, Transcript } from './transcript.ts';

/** Everything in which a replay is not as its recording. */
export function checkTranscript(transcript: Transcript, replayed: Replayed): Mismatch[] {
  const answers = transcript.http.flatMap((exchange, index) => {
    const actual = replayed.responses[index];
    if (actual === undefined) throw new Error('the replay left out a request');
    return compareAnswers(transcript.name, exchange, actual);
  });
  const frames = Object.entries(transcript.ws).flatMap(([name, { messages }]) => {
    const place = `${transcript.name} ${name}`;
    const actual = replayed.sockets.get(name) ?? [];
    return [...compareStatuses(place, messages, actual), ...compareSocket(place, messages, actual)];
  });
  return [...answers, ...frames];
}

function compareAnswers(
  transcript: string,
  { request, response }: RecordedExchange,
  actual: RecordedResponse,
): Mismatch[] {
  const place = `${transcript} ${request.method} ${request.path}`;
  if (response.status !== actual.status) {
    // The body of another answer says nothing more.
    return [{ place, path: '/status', recorded: response.status, actual: actual.status }];
  }
  const plain = (answer: RecordedResponse): JsonValue => {
    const { json, ...rest } = answer;
    const parts = normalise({ ...rest });
    if (json === undefined || !isJsonObject(parts)) return parts;
    return { ...parts, json: isMachineRoute(request.path) ? shapeOf(json) : normalise(json) };
  };
  return compareValues(place, plain(response), plain(asRecorded(request.path, response, actual)));
}

/** The recorder kept only the keys of the long histories of transcript 16. */
function asRecorded(path: string, recorded: RecordedResponse, actual: RecordedResponse): RecordedResponse {
  const keysOnly = path.startsWith('/history') && Array.isArray(recorded.json);
  if (!keysOnly || !isJsonObject(actual.json)) return actual;
  return { ...actual, json: Object.keys(actual.json) };
}

function compareSocket(
  place: string,
  recorded: readonly RecordedMessage[],
  actual: readonly RecordedMessage[],
): Mismatch[] {
  const theirs = toPlainFrames(recorded);
  const timed = findTimedPrompts(theirs);
  const ours = collapseSteps(toPlainFrames(actual), timed);
  return compareFrames(place, collapseSteps(theirs, timed), ours);
}

/**
 * Of the `status` broadcasts a socket hears at least the first and the last; one that is skipped is a
 * single mismatch, a number that never was is another.
 */
function compareStatuses(
  place: string,
  recorded: readonly RecordedMessage[],
  actual: readonly RecordedMessage[],
): Mismatch[] {
  const count = (messages: readonly RecordedMessage[]): number[] =>
    messages.flatMap((message) => ('text' in message ? readRemaining(message.text) : []));
  const [theirs, ours] = [count(recorded), count(actual)];
  const at = `${place} status`;
  const mismatches = [...new Set(ours)]
    .filter((value) => !theirs.includes(value))
    .map((value) => ({ place: at, path: '/queue_remaining', recorded: undefined, actual: value }));
  if (theirs.join() === ours.join()) return mismatches;
  return [...mismatches, { place: at, path: '/broadcasts', recorded: theirs, actual: ours }];
}
