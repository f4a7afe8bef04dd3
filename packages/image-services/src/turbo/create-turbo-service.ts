import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import { AttemptError } from '@tiercel/routing';
import type { Clock } from '@tiercel/runtime';
import { callService, joinUrl } from '../service/http.ts';
import type {
  ImageParam,
  ImageRequest,
  ImageService,
  ServiceContext,
} from '../service/image-service.ts';
import { findObstacleIn } from '../service/obstacles.ts';
import { paintEach } from '../service/paint-each.ts';
import { ParamFit } from '../service/param-fit.ts';
import { badOutput, readBase64Picture } from '../service/read-picture.ts';
import { findRefusalInside, tryReadJson } from '../service/refusal.ts';
import { runInTime } from '../service/run-in-time.ts';
import { TurboPool } from './turbo-pool.ts';
import { classifyTurbo } from '../service/vendor-refusals.ts';

export interface TurboOptions {
  readonly urls: readonly string[];
  /** What reports call it: the protocol names no model. */
  readonly model?: string | undefined;
  readonly clock: Clock;
}

const VENDOR = 'the turbo server';
const HONOURS: ReadonlySet<ImageParam> = new Set(['negative', 'seed', 'steps', 'size', 'batch']);
const SIZES = { step: 8, minSide: 256, maxSide: 2048 };
const STEPS = { min: 1, max: 50 };
/** PyTorch's generators take 64 bits. */
const SEED_END = 2n ** 64n;

/** The servers that Pollinations calls turbo: `POST /generate`, one picture a request. */
export function createTurboService({ urls, model = 'turbo', clock }: TurboOptions): ImageService {
  const pool = new TurboPool(urls, clock);
  return {
    ...{ model, honours: HONOURS },
    findObstacle: (wish) => findObstacleIn(wish, { honours: HONOURS, needsPrompt: false }),
    hasOtherServer: () => pool.hasRested(),
    generate: (request, context) =>
      runInTime(VENDOR, context, async (signal) => {
        const fit = new ParamFit();
        const images = await generate(pool, { request, fit }, { ...context, signal });
        return { images, model, dropped: [], changed: fit.changed };
      }),
  };
}

async function generate(
  pool: TurboPool,
  { request, fit }: { readonly request: ImageRequest; readonly fit: ParamFit },
  context: ServiceContext,
): Promise<readonly Uint8Array[]> {
  const { prompt, negative, steps, seed, batch } = request;
  const body = {
    prompts: [prompt],
    ...fit.size(request, SIZES),
    negative_prompt: negative,
    steps: steps === undefined ? undefined : fit.number('steps', steps, STEPS),
  };
  const paint = (index: number): Promise<Uint8Array> => {
    const own = seed === undefined ? undefined : fit.seed(seed, index, SEED_END);
    return pool.ask(context.signal, (url) => paintOne(url, { ...body, seed: own }, context.signal));
  };
  return paintEach(batch, paint, (painted) => {
    if (batch > 1) context.onProgress(painted / batch);
  });
}

async function paintOne(
  url: string,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const answer = await callService({
    ...{ vendor: VENDOR, method: 'POST', body, signal },
    url: joinUrl(url, '/generate'),
    classify: classifyTurbo,
  });
  const json = tryReadJson(answer);
  if (!Array.isArray(json)) {
    const refusal = findRefusalInside(VENDOR, json, { classify: classifyTurbo });
    throw refusal ?? badOutput(VENDOR, 'no list of pictures');
  }
  // Array.isArray makes a readonly array of a union `any[]`.
  const [first] = json as readonly JsonValue[];
  if (!isJsonObject(first)) throw badOutput(VENDOR, 'no picture');
  if (first.has_nsfw_concept === true) {
    throw new AttemptError('safety', `${VENDOR} marked the picture as unsafe`);
  }
  return readBase64Picture(VENDOR, first.image);
}
