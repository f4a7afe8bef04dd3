/**
 * Examines large bodies in a thread of its own, one at a time: parsing ten megabytes of small objects takes a second,
 * and the event loop of the API belongs to everybody.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { isAppError, isJsonObject, parseJson, type ObjectInfo } from '@tiercel/contracts';
import { FileStore } from '@tiercel/storage';
import { examineEdit } from './examine-edit.ts';
import { examinePrompt, type LongText } from './examine-prompt.ts';
import type { ThreadData, ThreadReply, ThreadRequest } from './body-examiner.ts';

/** Longer texts are given back as bytes, which change hands without being copied. */
const MAX_TEXT_LENGTH = 64 * 1024;

const { dataDir, maxNodes, maxValues } = workerData as ThreadData;
const files = new FileStore(dataDir);
let objectInfo: ObjectInfo = {};

let working = Promise.resolve();
parentPort?.on('message', (request: ThreadRequest) => {
  working = working.then(() => work(request));
});

async function work(request: ThreadRequest): Promise<void> {
  if (request.kind === 'catalogue') {
    const parsed = parseJson(request.text);
    // The text of an ObjectInfo that the main thread holds.
    if (isJsonObject(parsed)) objectInfo = parsed as unknown as ObjectInfo;
    return;
  }
  const { id, kind, blocks } = request;
  let reply: ThreadReply;
  try {
    const bytes = Buffer.concat(blocks);
    const examined =
      kind === 'edit'
        ? examineEdit(bytes, maxValues)
        : await examinePrompt(bytes, { objectInfo, maxNodes, maxValues, fileExists });
    reply = { id, examined };
  } catch (error) {
    reply = isAppError(error)
      ? { id, refused: { code: error.code, message: error.message } }
      : { id, failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  const transferred: ArrayBuffer[] = [];
  parentPort?.postMessage(giveAway(reply, transferred), transferred);
}

function fileExists(name: string): Promise<boolean> {
  return files.resolveAnnotated(name).then(
    (found) => found !== null,
    () => false,
  );
}

/** The reply with its long texts as bytes. */
function giveAway(reply: ThreadReply, transferred: ArrayBuffer[]): ThreadReply {
  const encode = (text: LongText): LongText => {
    if (typeof text !== 'string' || text.length < MAX_TEXT_LENGTH) return text;
    const bytes = new TextEncoder().encode(text);
    transferred.push(bytes.buffer);
    return bytes;
  };
  const { examined } = reply;
  if (examined === undefined || !('kind' in examined)) return reply;
  if (examined.kind === 'rejected') {
    const rejectionText = encode(examined.rejectionText);
    return { ...reply, examined: { ...examined, rejectionText } };
  }
  const { promptText, extraText } = examined;
  const texts = { promptText: encode(promptText), extraText: encode(extraText) };
  return { ...reply, examined: { ...examined, ...texts } };
}
