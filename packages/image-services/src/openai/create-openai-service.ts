import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import { invertToAlpha } from '@tiercel/pictures';
import { formatSize } from '../service/fit-size.ts';
import { bearer, callService, joinUrl, type ServiceCall } from '../service/http.ts';
import type {
  ImageParam,
  ImageRequest,
  ImageService,
  ServiceContext,
} from '../service/image-service.ts';
import { findObstacleIn, initOf } from '../service/obstacles.ts';
import { ParamFit } from '../service/param-fit.ts';
import { readLinkedPicture, readPictureText, type LinkContext } from '../service/linked-picture.ts';
import { badOutput } from '../service/read-picture.ts';
import { findRefusalInside, tryReadJson } from '../service/refusal.ts';
import { runInTime } from '../service/run-in-time.ts';
import { classifyOpenAi } from '../service/vendor-refusals.ts';
import { chooseOpenAiSize } from './openai-sizes.ts';

export interface OpenAiOptions {
  /** With the version: `https://api.openai.com/v1`, or another service that speaks the same. */
  readonly url: string;
  readonly apiKey: string;
  readonly model: string;
}

const VENDOR = 'OpenAI';
/** The images API knows no seed, no steps and no negative prompt. */
const HONOURS: ReadonlySet<ImageParam> = new Set(['size', 'batch', 'init_image', 'mask']);
const LIMITS = { honours: HONOURS, needsPrompt: true, maxPromptLength: 32_000 };
/** Pictures in one request (`n`). */
const MAX_N = 10;
const MAX_N_OF: Readonly<Record<string, number>> = { 'dall-e-3': 1 };

/** OpenAI's images API: generations, and edits when there is a picture to start from. */
export function createOpenAiService(options: OpenAiOptions): ImageService {
  return {
    model: options.model,
    honours: HONOURS,
    findObstacle: (wish) => findObstacleIn(wish, LIMITS),
    generate: (request, context) =>
      runInTime(VENDOR, context, (signal) => generate(options, request, { ...context, signal })),
  };
}

async function generate(
  options: OpenAiOptions,
  request: ImageRequest,
  context: ServiceContext,
): ReturnType<ImageService['generate']> {
  const fit = new ParamFit();
  const size = chooseOpenAiSize(options.model, request);
  fit.note('size', formatSize(request), formatSize(size));
  // One of several pictures to start from is for one result only.
  const perCall = (request.init?.length ?? 1) > 1 ? 1 : (MAX_N_OF[options.model] ?? MAX_N);
  const images: Uint8Array[] = [];
  while (images.length < request.batch) {
    const n = Math.min(perCall, request.batch - images.length);
    const fields = { prompt: request.prompt, model: options.model, n, size: formatSize(size) };
    const init = initOf(request.init, images.length);
    const painted =
      init === undefined
        ? await paint(options, { route: '/images/generations', body: fields, n }, context)
        : await paint(
            options,
            { route: '/images/edits', body: await toForm(fields, init, request.mask, context), n },
            context,
          );
    images.push(...painted);
    // Fewer than asked for is for the caller of this driver to judge, not to ask for again and again.
    if (painted.length < n) break;
    if (images.length < request.batch) context.onProgress(images.length / request.batch);
  }
  return { images, model: options.model, dropped: [], changed: fit.changed };
}

async function toForm(
  fields: Readonly<Record<string, string | number>>,
  init: Uint8Array,
  mask: Uint8Array | undefined,
  { signal }: ServiceContext,
): Promise<FormData> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  form.append('image', toPngFile(init), 'image.png');
  if (mask !== undefined) {
    const alpha = await invertToAlpha(mask);
    signal.throwIfAborted();
    form.append('mask', toPngFile(alpha), 'mask.png');
  }
  return form;
}

function toPngFile(bytes: Uint8Array): Blob {
  return new Blob([new Uint8Array(bytes)], { type: 'image/png' });
}

interface Call {
  readonly route: string;
  readonly body: NonNullable<ServiceCall['body']>;
  /** Pictures that are asked for; more of them in an answer are not looked at. */
  readonly n: number;
}

async function paint(
  { url, apiKey }: OpenAiOptions,
  { route, body, n }: Call,
  { signal }: ServiceContext,
): Promise<readonly Uint8Array[]> {
  const asked = joinUrl(url, route);
  const answer = await callService({
    ...{ vendor: VENDOR, method: 'POST', body, signal, secret: apiKey, url: asked },
    headers: bearer(apiKey),
    classify: classifyOpenAi,
  });
  const json = tryReadJson(answer);
  const data = json !== undefined && isJsonObject(json) ? json.data : undefined;
  if (!Array.isArray(data) || data.length === 0) {
    const options = { classify: classifyOpenAi, secret: apiKey };
    const what = Array.isArray(data) ? 'no picture' : 'no list of pictures';
    throw findRefusalInside(VENDOR, json, options) ?? badOutput(VENDOR, what);
  }
  // Array.isArray makes a readonly array of a union `any[]`.
  const items = (data as readonly JsonValue[]).slice(0, n);
  return Promise.all(items.map((item) => readItem(item, { vendor: VENDOR, asked, signal })));
}

/**
 * GPT image models answer in base64; others that speak this API with a link, or with both members, of which one may
 * be empty.
 */
async function readItem(item: JsonValue, context: LinkContext): Promise<Uint8Array> {
  const { b64_json: base64, url: link } = isJsonObject(item) ? item : {};
  const isLinked = (base64 ?? '') === '' && typeof link === 'string' && link !== '';
  return isLinked ? readLinkedPicture(link, context) : readPictureText(base64, context);
}
