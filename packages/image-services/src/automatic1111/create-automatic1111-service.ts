import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import type {
  ImageParam,
  ImageRequest,
  ImageService,
  ServedImages,
  ServiceContext,
} from '../service/image-service.ts';
import { findObstacleIn } from '../service/obstacles.ts';
import { ParamFit } from '../service/param-fit.ts';
import { badOutput, readBase64Picture } from '../service/read-picture.ts';
import { findRefusalInside, tryReadJson } from '../service/refusal.ts';
import { runInTime } from '../service/run-in-time.ts';
import { classifyA1111 } from '../service/vendor-refusals.ts';
import { toA1111Request } from './a1111-request.ts';
import { A1111, openA1111, type A1111Server } from './a1111-server.ts';
import { createSerial, type Serial } from './one-at-a-time.ts';

export interface Automatic1111Options {
  readonly url: string;
  /** `user:password` of `--api-auth`. */
  readonly apiKey?: string | undefined;
  /** Checkpoint to use; absent: the one that the server has loaded. */
  readonly model?: string | undefined;
}

const HONOURS: ReadonlySet<ImageParam> = new Set([
  ...(['negative', 'seed', 'steps', 'cfg', 'sampler', 'scheduler', 'size', 'batch'] as const),
  ...(['denoise', 'init_image', 'mask'] as const),
]);
const PROGRESS_EVERY_MS = 500;
/** A server that does not answer keeps a cancelled job no longer than this. */
const INTERRUPT_LIMIT_MS = 1_000;

interface Server {
  readonly routes: A1111Server;
  readonly model: string | undefined;
  readonly oneAtATime: Serial;
}

/**
 * Automatic1111 and what speaks its API (Forge, SD.Next).
 *
 * The server renders one request at a time; its progress and its interrupt are about the render, not about
 * the caller. So requests of this process wait here for their turn: one that is cancelled while waiting
 * never reaches the server. Of other processes' renders newer servers tell by the id of the task.
 */
export function createAutomatic1111Service(options: Automatic1111Options): ImageService {
  const { url, apiKey, model } = options;
  const server = { routes: openA1111(url, apiKey), model, oneAtATime: createSerial() };
  return {
    model: model ?? 'default',
    honours: HONOURS,
    findObstacle: (wish) => findObstacleIn(wish, { honours: HONOURS, needsPrompt: false }),
    generate: (request, context) =>
      runInTime(A1111, context, (signal) =>
        server.oneAtATime(signal, () => generate(server, request, { ...context, signal })),
      ),
  };
}

async function generate(
  { routes, model }: Server,
  request: ImageRequest,
  context: ServiceContext,
): Promise<ServedImages> {
  const fit = new ParamFit();
  const taskId = `tiercel-${randomUUID()}`;
  const { path, body, dropped } = toA1111Request(request, { fit, model, taskId });
  const rendered = new AbortController();
  const watching = watch(routes, taskId, { ...context, signal: rendered.signal });
  let answer: Buffer;
  try {
    answer = await routes.render(path, body, context.signal);
  } catch (error) {
    // The server renders on when its client goes.
    if (context.signal.aborted) await interrupt(routes, taskId);
    throw error;
  } finally {
    rendered.abort();
    await watching;
  }
  const { pictures, usedModel } = readAnswer(answer);
  return {
    images: pictures.slice(0, request.batch),
    model: usedModel ?? model ?? 'default',
    ...{ dropped, changed: fit.changed },
  };
}

/** Reports progress until its signal aborts; a question that fails is asked again. Never throws. */
async function watch(routes: A1111Server, taskId: string, context: ServiceContext): Promise<void> {
  const { signal } = context;
  while (!signal.aborted) {
    try {
      await sleep(PROGRESS_EVERY_MS, undefined, { signal });
      const { fraction, preview, taskId: running } = await routes.progress(signal);
      const isOurs = running === undefined || running === taskId;
      if (isOurs && fraction > 0) context.onProgress(fraction, preview);
    } catch {
      // The render itself tells whether the server is in trouble.
    }
  }
}

/** Ends our render, unless the server is known to be at another's. Never throws. */
async function interrupt(routes: A1111Server, taskId: string): Promise<void> {
  const limits = { signal: new AbortController().signal, timeoutMs: INTERRUPT_LIMIT_MS };
  try {
    await runInTime(A1111, limits, async (signal) => {
      const { taskId: running } = await routes.progress(signal);
      if (typeof running === 'string' && running !== taskId) return;
      await routes.interrupt(signal);
    });
  } catch {
    // The job has ended all the same; the server will find out when it is done.
  }
}

function readAnswer(bytes: Buffer): { pictures: Uint8Array[]; usedModel: string | undefined } {
  const json = tryReadJson(bytes);
  if (json === undefined || !isJsonObject(json) || !Array.isArray(json.images)) {
    const refusal = findRefusalInside(A1111, json, { classify: classifyA1111 });
    throw refusal ?? badOutput(A1111, 'no list of pictures');
  }
  // Array.isArray makes a readonly array of a union `any[]`.
  const images = json.images as readonly JsonValue[];
  if (images.length === 0) throw badOutput(A1111, 'no picture');
  const info = typeof json.info === 'string' ? tryReadJson(Buffer.from(json.info)) : undefined;
  const name = info !== undefined && isJsonObject(info) ? info.sd_model_name : undefined;
  return {
    pictures: images.map((image) => readBase64Picture(A1111, image)),
    usedModel: typeof name === 'string' ? name : undefined,
  };
}
