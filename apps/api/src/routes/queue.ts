import { isJsonObject, stringifyJson, type JsonValue } from '@tiercel/contracts';
import type { Editor, JobRecord, Reader } from '@tiercel/queue';
import type { Request, Response } from 'express';
import { historyItemText, isEnded, queueItemText, setServedBy } from '../history-item.ts';
import { callerOf } from '../identity/caller-of.ts';
import { sendEmpty, sendJsonText, streamJsonText } from '../http/answer.ts';
import { readIntegerQuery, readJsonBody, readParam } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import type { BodyExaminer } from '../json/body-examiner.ts';
import { isSet } from '../json/examine-edit.ts';
import { readBlocks } from '../json/read-blocks.ts';

export interface QueueDependencies {
  readonly reader: Reader;
  readonly editor: Editor;
  readonly examiner: BodyExaminer;
  readonly maxBodyBytes: number;
}

/** /queue, /history and /interrupt. */
export function createQueueRoutes(deps: QueueDependencies): Route[] {
  const readerOf = (res: Response) => deps.reader.of(callerOf(res).tenant);
  const editorOf = (res: Response) => deps.editor.of(callerOf(res).tenant);
  const readEdit = async (req: Request) =>
    deps.examiner.examineEdit(await readBlocks(req, deps.maxBodyBytes));
  return [
    {
      method: 'GET',
      path: '/queue',
      async handle(_req, res) {
        await streamJsonText(res, listQueue(readerOf(res)));
      },
    },
    {
      method: 'POST',
      path: '/queue',
      body: 'none',
      async handle(req, res) {
        const editor = editorOf(res);
        const { clear, deleteTexts } = await readEdit(req);
        if (clear) await editor.clearPending();
        for (const text of deleteTexts) await editor.deletePending(parseIds(text));
        sendEmpty(res);
      },
    },
    {
      method: 'GET',
      path: '/history',
      async handle(req, res) {
        const reader = readerOf(res);
        const maxItems = readIntegerQuery(req, 'max_items');
        const offset = readIntegerQuery(req, 'offset');
        const ids = await reader.listHistoryIds({
          ...(maxItems === undefined ? {} : { maxItems }),
          ...(offset === undefined ? {} : { offset }),
        });
        await streamJsonText(res, listHistory(reader, ids));
      },
    },
    {
      method: 'GET',
      path: '/history/:promptId',
      async handle(req, res) {
        const id = readParam(req, 'promptId');
        const job = await readerOf(res).readRecord(id);
        const found = job !== undefined && isEnded(job);
        if (found) setServedBy(res, job);
        sendJsonText(res, found ? `{${JSON.stringify(id)}:${historyItemText(job)}}` : '{}');
      },
    },
    {
      method: 'POST',
      path: '/history',
      body: 'none',
      async handle(req, res) {
        const editor = editorOf(res);
        const { clear, deleteTexts } = await readEdit(req);
        if (clear) await editor.clearHistory();
        for (const text of deleteTexts) await editor.deleteHistory(parseIds(text));
        sendEmpty(res);
      },
    },
    {
      method: 'POST',
      path: '/interrupt',
      body: 'text',
      async handle(req, res) {
        const editor = editorOf(res);
        const id = readInterruptTarget(req);
        if (id === undefined) await editor.interruptAll();
        else await editor.interrupt([id]);
        sendEmpty(res);
      },
    },
  ];
}

async function* listQueue(reader: Reader): AsyncGenerator<string> {
  const { running, pending } = await reader.listQueueIds();
  yield '{"queue_running":[';
  yield* join(reader.streamRecords(running), queueItemText);
  yield '],"queue_pending":[';
  yield* join(reader.streamRecords(pending), queueItemText);
  yield ']}';
}

async function* listHistory(reader: Reader, ids: readonly string[]): AsyncGenerator<string> {
  yield '{';
  yield* join(reader.streamRecords(ids), (job) =>
    isEnded(job) ? `${JSON.stringify(job.id)}:${historyItemText(job)}` : undefined,
  );
  yield '}';
}

/** Members of a list, with commas between; what has no text is left out. */
async function* join(
  pages: AsyncIterable<readonly JobRecord[]>,
  write: (job: JobRecord) => string | undefined,
): AsyncGenerator<string> {
  let separator = '';
  for await (const page of pages) {
    for (const job of page) {
      const text = write(job);
      if (text === undefined) continue;
      yield separator + text;
      separator = ',';
    }
  }
}

/** Of our own making: see examineEdit. */
function parseIds(text: string): string[] {
  return JSON.parse(text) as string[];
}

/** As ComfyUI: no body, or one that is not JSON, means "whatever runs" (wire 7.9). */
function readInterruptTarget(req: Request): string | undefined {
  let body: JsonValue;
  try {
    body = readJsonBody(req, {});
  } catch {
    return undefined;
  }
  const id = isJsonObject(body) ? body.prompt_id : undefined;
  if (id === undefined || !isSet(id)) return undefined;
  return typeof id === 'string' ? id : stringifyJson(id);
}
