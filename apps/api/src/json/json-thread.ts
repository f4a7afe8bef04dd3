/**
 * Examines large bodies in a thread of its own, one at a time: parsing ten megabytes of small objects takes a second,
 * and the event loop of the API belongs to everybody.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { isAppError, isJsonObject, parseJson } from '@tiercel/contracts';
import { outlineGraph } from '@tiercel/graph';
import { TenantFiles } from '@tiercel/storage';
import { examineEdit } from './examine-edit.ts';
import { examinePrompt } from './examine-prompt.ts';
import { examineWorkflow } from './examine-workflow.ts';
import type { Classes } from './judge-prompt.ts';
import type { LongText } from './long-text.ts';
import type {
  Examined,
  ThreadData,
  ThreadReply,
  ThreadRequest,
  ThreadTask,
} from './body-examiner.ts';
import { decodeBody } from './parse-body.ts';

/** Longer texts are given back as bytes, which change hands without being copied. */
const MAX_TEXT_LENGTH = 64 * 1024;

const { dataDir, era, maxNodes, maxValues } = workerData as ThreadData;
const files = new TenantFiles(dataDir);
let classes: Classes = { objectInfo: {}, nodeReplacements: {} };
/** By task: who waits until the servers have been looked at again. */
const refreshing = new Map<number, (hasServers: boolean) => void>();

let working = Promise.resolve();
parentPort?.on('message', (request: ThreadRequest) => {
  if (request.kind === 'catalogue') {
    const parsed = parseJson(request.text);
    if (!isJsonObject(parsed)) return;
    // The text of an ObjectInfo that the main thread holds.
    const objectInfo = parsed as unknown as Classes['objectInfo'];
    classes = { objectInfo, nodeReplacements: request.nodeReplacements };
  } else if (request.kind === 'looked') {
    refreshing.get(request.id)?.(request.hasServers);
    refreshing.delete(request.id);
  } else {
    working = working.then(() => work(request));
  }
});

async function examine(task: ThreadTask): Promise<Examined> {
  const bytes = Buffer.concat(task.blocks);
  const rules = {
    ...{ maxNodes, maxValues, era },
    classes: () => classes,
    refreshServers: (classNames: readonly string[]) => refreshServers(task.id, classNames),
  };
  switch (task.kind) {
    case 'edit':
      return examineEdit(bytes, maxValues);
    case 'outline':
      return outlineGraph(parseJson(decodeBody(bytes)), task.outputIds);
    case 'workflow':
      return await examineWorkflow({ bytes, contentType: task.contentType }, rules);
    case 'prompt':
      return await examinePrompt(
        { ...task, bytes },
        { ...rules, isLight: false, fileExists: (name) => fileExists(name, task.tenant) },
      );
  }
}

async function work(task: ThreadTask): Promise<void> {
  const { id } = task;
  let reply: ThreadReply;
  try {
    reply = { id, examined: await examine(task) };
  } catch (error) {
    reply = isAppError(error)
      ? { id, refused: { code: error.code, message: error.message } }
      : { id, failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  const transferred: ArrayBuffer[] = [];
  parentPort?.postMessage(giveAway(reply, transferred), transferred);
}

function refreshServers(id: number, doubtful: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    refreshing.set(id, resolve);
    parentPort?.postMessage({ id, doubtful } satisfies ThreadReply);
  });
}

function fileExists(name: string, tenant: string): Promise<boolean> {
  return files
    .of(tenant)
    .resolveAnnotated(name)
    .then(
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
  if (examined === undefined) return reply;
  if ('answerText' in examined) {
    return { ...reply, examined: { ...examined, answerText: encode(examined.answerText) } };
  }
  if (!('kind' in examined)) return reply;
  if (examined.kind === 'rejected') {
    const rejectionText = encode(examined.rejectionText);
    return { ...reply, examined: { ...examined, rejectionText } };
  }
  const { promptText, extraText } = examined;
  const texts = { promptText: encode(promptText), extraText: encode(extraText) };
  return { ...reply, examined: { ...examined, ...texts } };
}
