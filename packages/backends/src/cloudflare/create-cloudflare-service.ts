import { randomInt } from 'node:crypto';
import { isJsonObject } from '@tiercel/contracts';
import { AttemptError } from '../failures.ts';
import { bearer, callService, joinUrl } from '../service/http.ts';
import type { ImageRequest, ImageService, ServiceContext } from '../service/image-service.ts';
import { findObstacleIn, initOf } from '../service/obstacles.ts';
import { paintEach } from '../service/paint-each.ts';
import { ParamFit } from '../service/param-fit.ts';
import { badOutput, readBase64Picture, readPicture } from '../service/read-picture.ts';
import { toAttemptError, tryReadJson } from '../service/refusal.ts';
import { runInTime } from '../service/run-in-time.ts';
import { sniffImage } from '../service/sniff-image.ts';
import {
  CLOUDFLARE_HONOURS,
  findCloudflareModel,
  type CloudflareModel,
  type NumberSetting,
} from './cloudflare-models.ts';
import { classifyCloudflare } from './cloudflare-refusals.ts';

export interface CloudflareOptions {
  /** `https://api.cloudflare.com/client/v4`, or a gateway that speaks the same below it. */
  readonly url: string;
  readonly accountId: string;
  readonly apiKey: string;
  /** `@cf/lykon/dreamshaper-8-lcm` */
  readonly model: string;
}

const VENDOR = 'Cloudflare';
const SIZES = { step: 8, minSide: 256, maxSide: 2048 };
/** The vendor names no range; its gateway reads numbers as JavaScript does, exactly up to here. */
const SEED_END = 2n ** 53n;
const RANDOM_SEED_END = 2 ** 31;

/** The body of one picture's request; without a seed when the model has choked on it. */
type Fields = Readonly<Record<string, unknown>>;

/** Workers AI: one picture a request, two requests at once for a batch. */
export function createCloudflareService(options: CloudflareOptions): ImageService {
  const model = findCloudflareModel(options.model);
  const honours = CLOUDFLARE_HONOURS[model.schema];
  const limits = {
    ...{ honours, needsPrompt: true },
    ...(model.maxPromptLength === undefined ? {} : { maxPromptLength: model.maxPromptLength }),
  };
  return {
    model: options.model,
    honours,
    findObstacle: (wish) => findObstacleIn(wish, limits),
    generate: (request, context) =>
      runInTime(VENDOR, context, (signal) =>
        generate({ options, model }, request, { ...context, signal }),
      ),
  };
}

async function generate(
  { options, model }: { readonly options: CloudflareOptions; readonly model: CloudflareModel },
  request: ImageRequest,
  context: ServiceContext,
): ReturnType<ImageService['generate']> {
  const fit = new ParamFit();
  const seen = { isSeedRefused: false };
  const paint = async (index: number): Promise<Uint8Array> => {
    const fields = describePicture(model, fit, { request, index });
    const seed = chooseSeed(fit, request, index);
    if (seen.isSeedRefused) return run(options, fields, context.signal);
    try {
      return await run(options, { ...fields, seed }, context.signal);
    } catch (error) {
      // The models sometimes answer 5xx to a seed and to nothing else: one more try without it.
      if (!(error instanceof AttemptError) || error.class !== 'server') throw error;
      const picture = await run(options, fields, context.signal);
      seen.isSeedRefused = true;
      return picture;
    }
  };
  const images = await paintEach(request.batch, paint, (painted) => {
    if (request.batch > 1) context.onProgress(painted / request.batch);
  });
  const isSeedDropped = seen.isSeedRefused && request.seed !== undefined;
  return {
    ...{ images, model: options.model },
    dropped: isSeedDropped ? ['seed'] : [],
    changed: fit.changed.filter(({ param }) => !(isSeedDropped && param === 'seed')),
  };
}

/** Requests that are equal in all are answered from a cache: one without a seed gets a random one. */
function chooseSeed(fit: ParamFit, { seed }: ImageRequest, index: number): number | bigint {
  return seed === undefined ? randomInt(RANDOM_SEED_END) : fit.seed(seed, index, SEED_END);
}

function describePicture(
  model: CloudflareModel,
  fit: ParamFit,
  { request, index }: { readonly request: ImageRequest; readonly index: number },
): Fields {
  const steps = choose(fit, 'steps', request.steps, model.steps);
  if (model.schema === 'flux') return { prompt: request.prompt, steps };
  const init = initOf(request.init, index);
  return {
    prompt: request.prompt,
    ...(request.negative === '' ? {} : { negative_prompt: request.negative }),
    ...fit.size(request, SIZES),
    num_steps: steps,
    guidance: choose(fit, 'cfg', request.cfg, model.guidance),
    ...(init === undefined
      ? {}
      : { image_b64: Buffer.from(init).toString('base64'), strength: request.denoise }),
    // Bytes of the file as numbers: the schema has no base64 form of the mask.
    ...(init === undefined || request.mask === undefined ? {} : { mask: [...request.mask] }),
  };
}

function choose(
  fit: ParamFit,
  param: 'steps' | 'cfg',
  asked: number | undefined,
  setting: NumberSetting,
): number | undefined {
  return asked === undefined ? setting.default : fit.number(param, asked, setting);
}

async function run(
  { url, accountId, apiKey, model }: CloudflareOptions,
  body: Fields,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await callService({
    ...{ vendor: VENDOR, method: 'POST', body, signal, secret: apiKey },
    url: joinUrl(url, `/accounts/${encodeURIComponent(accountId)}/ai/run/${model}`),
    headers: bearer(apiKey),
    classify: classifyCloudflare,
  });
  // Some models answer with the file, others with JSON around it.
  if (bytes.byteLength === 0 || sniffImage(bytes) !== undefined) return readPicture(VENDOR, bytes);
  const json = tryReadJson(bytes);
  if (json === undefined || !isJsonObject(json)) {
    throw badOutput(VENDOR, 'something that is no picture');
  }
  const verdict = json.success === false ? classifyCloudflare({ json }) : undefined;
  if (verdict !== undefined) {
    throw toAttemptError(
      VENDOR,
      { status: 200, json },
      { classify: () => verdict, secret: apiKey },
    );
  }
  return readBase64Picture(VENDOR, isJsonObject(json.result) ? json.result.image : undefined);
}
