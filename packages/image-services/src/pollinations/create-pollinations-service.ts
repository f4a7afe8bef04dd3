import { randomInt } from 'node:crypto';
import { pythonFloat } from '@tiercel/contracts';
import { bearer, callService, joinUrl } from '../service/http.ts';
import type { ImageParam, ImageRequest, ImageService } from '../service/image-service.ts';
import { findObstacleIn } from '../service/obstacles.ts';
import { paintEach } from '../service/paint-each.ts';
import { ParamFit } from '../service/param-fit.ts';
import { readPicture, sniffImage } from '../service/read-picture.ts';
import { findRefusalInside, tryReadJson } from '../service/refusal.ts';
import { runInTime } from '../service/run-in-time.ts';
import { classifyPollinations } from '../service/vendor-refusals.ts';

export interface PollinationsOptions {
  /** `https://gen.pollinations.ai`, or the legacy `https://image.pollinations.ai/prompt`. */
  readonly url: string;
  readonly apiKey?: string | undefined;
  readonly model: string;
}

const VENDOR = 'Pollinations';
const HONOURS: ReadonlySet<ImageParam> = new Set(['negative', 'seed', 'cfg', 'size', 'batch']);
/** The prompt is part of the URL: servers and proxies in between take about 8 KiB, encoded. */
const MAX_ENCODED_PROMPT = 6_000;
/** No step: any size is taken. */
const SIZES = { step: 1, minSide: 64, maxSide: 2048 };
/** The service reduces larger seeds itself, some models badly. */
const SEED_END = 2n ** 31n;

/** One picture a request, two requests at once for a batch. */
export function createPollinationsService(options: PollinationsOptions): ImageService {
  const { model } = options;
  return {
    ...{ model, honours: HONOURS },
    findObstacle: (wish) =>
      encodePrompt(wish.prompt + wish.negative).length > MAX_ENCODED_PROMPT
        ? `takes prompts of up to ${MAX_ENCODED_PROMPT} characters as they are written in a URL`
        : findObstacleIn(wish, { honours: HONOURS, needsPrompt: true }),
    generate: (request, context) =>
      runInTime(VENDOR, context, async (signal) => {
        const fit = new ParamFit();
        const paint = (index: number): Promise<Uint8Array> =>
          paintOne(options, toUrl(options, request, { fit, index }), signal);
        const images = await paintEach(request.batch, paint, (painted) => {
          if (request.batch > 1) context.onProgress(painted / request.batch);
        });
        return { images, model, dropped: [], changed: fit.changed };
      }),
  };
}

/** The route is `/prompt/...` on the legacy host and where the URL already says so, else `/image/...`. */
function toUrl(
  { url, model }: PollinationsOptions,
  request: ImageRequest,
  { fit, index }: { readonly fit: ParamFit; readonly index: number },
): URL {
  const base = new URL(url);
  const hasRoute = /\/(?:prompt|image)\/?$/.test(base.pathname);
  const ownRoute = base.hostname.startsWith('image.') ? '/prompt' : '/image';
  const target = joinUrl(url, `${hasRoute ? '' : ownRoute}/${encodePrompt(request.prompt)}`);
  const { width, height } = fit.size(request, SIZES);
  // Without a seed it uses 42, and answers all equal requests with one picture.
  const seed =
    request.seed === undefined
      ? randomInt(Number(SEED_END))
      : fit.seed(request.seed, index, SEED_END);
  const query = {
    ...{ model, width: String(width), height: String(height), seed: String(seed) },
    ...(request.negative === '' ? {} : { negative_prompt: request.negative }),
    ...(request.cfg === undefined ? {} : { guidance_scale: pythonFloat(request.cfg) }),
    // The caller's picture, as it is: unmarked, the prompt not rewritten, not shown in the public feed.
    ...{ nologo: 'true', enhance: 'false', private: 'true' },
  };
  for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
  return target;
}

/**
 * One path segment: a slash in a prompt is no separator, and `.` and `..` are no folders.
 * Half a surrogate pair, which has no encoding, becomes U+FFFD.
 */
function encodePrompt(prompt: string): string {
  const encoded = encodeURIComponent(Buffer.from(prompt).toString());
  return /^\.{1,2}$/.test(encoded) ? `${encoded}%20` : encoded;
}

async function paintOne(
  { apiKey }: PollinationsOptions,
  url: URL,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await callService({
    ...{ vendor: VENDOR, method: 'GET', url, signal, secret: apiKey },
    headers: bearer(apiKey),
    classify: classifyPollinations,
  });
  if (sniffImage(bytes) === undefined) {
    const options = { classify: classifyPollinations, secret: apiKey };
    const refusal = findRefusalInside(VENDOR, tryReadJson(bytes), options);
    if (refusal !== undefined) throw refusal;
  }
  return readPicture(VENDOR, bytes);
}
