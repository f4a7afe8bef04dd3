import { randomInt } from 'node:crypto';
import { isJsonObject } from '@tiercel/contracts';
import { AttemptError } from '@tiercel/routing';
import { bearer, callService, joinUrl } from '../service/http.ts';
import type { ImageRequest, ImageService, ServiceContext } from '../service/image-service.ts';
import { readPictureText } from '../service/linked-picture.ts';
import { findObstacleIn } from '../service/obstacles.ts';
import { paintEach } from '../service/paint-each.ts';
import { ParamFit } from '../service/param-fit.ts';
import { badOutput, readPicture, sniffImage } from '../service/read-picture.ts';
import { findRefusalInside, tryReadJson } from '../service/refusal.ts';
import { runInTime } from '../service/run-in-time.ts';
import { findCloudflareModel, type CloudflareModel } from './cloudflare-models.ts';
import { classifyCloudflare } from '../service/vendor-refusals.ts';
import { describePicture, toForm, type Fields } from './describe-picture.ts';

export interface CloudflareOptions {
  /** `https://api.cloudflare.com/client/v4`, or a gateway that speaks the same below it. */
  readonly url: string;
  readonly accountId: string;
  readonly apiKey: string;
  /** `@cf/lykon/dreamshaper-8-lcm` */
  readonly model: string;
}

const VENDOR = 'Cloudflare';
/** The vendor names no range; its gateway reads numbers as JavaScript does, exactly up to here. */
const SEED_END = 2n ** 53n;
const RANDOM_SEED_END = 2 ** 31;

interface Tier {
  readonly options: CloudflareOptions;
  readonly model: CloudflareModel;
  /** The model has said that it knows no seed: it is not sent one again. */
  refusesSeeds: boolean;
}

/** Workers AI: one picture a request, two requests at once for a batch. */
export function createCloudflareService(options: CloudflareOptions): ImageService {
  const model = findCloudflareModel(options.model);
  const { honours, maxPromptLength } = model;
  const limits = {
    ...{ honours, needsPrompt: true },
    ...(maxPromptLength === undefined ? {} : { maxPromptLength }),
  };
  const tier: Tier = { options, model, refusesSeeds: false };
  return {
    ...{ model: options.model, honours },
    findObstacle: (wish) => findObstacleIn(wish, limits),
    generate: (request, context) =>
      runInTime(VENDOR, context, (signal) => generate(tier, request, { ...context, signal })),
  };
}

async function generate(
  tier: Tier,
  request: ImageRequest,
  context: ServiceContext,
): ReturnType<ImageService['generate']> {
  const { model } = tier;
  const fit = new ParamFit();
  const seen = { isSeedRefused: tier.refusesSeeds };
  const paint = async (index: number): Promise<Uint8Array> => {
    const fields = await describePicture(model, fit, { request, index });
    const seed = chooseSeed(fit, request, index);
    if (seen.isSeedRefused) return run(tier, fields, context.signal);
    try {
      return await run(tier, { ...fields, seed }, context.signal);
    } catch (error) {
      if (!(error instanceof AttemptError) || !mayBeTheSeed(error)) throw error;
      const picture = await run(tier, fields, context.signal);
      seen.isSeedRefused = true;
      tier.refusesSeeds ||= error.class !== 'server';
      return picture;
    }
  };
  const images = await paintEach(request.batch, paint, (painted) => {
    if (request.batch > 1) context.onProgress(painted / request.batch);
  });
  const isSeedDropped = seen.isSeedRefused && request.seed !== undefined;
  return {
    ...{ images, model: tier.options.model },
    dropped: isSeedDropped ? ['seed'] : [],
    changed: fit.changed.filter(({ param }) => !(isSeedDropped && param === 'seed')),
  };
}

/**
 * The models sometimes answer 5xx to a seed and to nothing else, and some whose page has a seed say that they know
 * no such field: one more try without it.
 */
function mayBeTheSeed({ class: failureClass, refusedFields }: AttemptError): boolean {
  if (failureClass === 'server') return true;
  return refusedFields.length > 0 && refusedFields.every((field) => field === 'seed');
}

/** Requests that are equal in all are answered from a cache: one without a seed gets a random one. */
function chooseSeed(fit: ParamFit, { seed }: ImageRequest, index: number): number | bigint {
  return seed === undefined ? randomInt(RANDOM_SEED_END) : fit.seed(seed, index, SEED_END);
}

async function run(
  { options: { url, accountId, apiKey, model: name }, model }: Tier,
  fields: Fields,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const asked = joinUrl(url, `/accounts/${encodeURIComponent(accountId)}/ai/run/${name}`);
  const options = { secret: apiKey, classify: classifyCloudflare };
  const bytes = await callService({
    ...{ vendor: VENDOR, method: 'POST', signal, url: asked, headers: bearer(apiKey) },
    body: model.body === 'form' ? toForm(fields) : fields,
    ...options,
  });
  // Some models answer with the file, others with JSON around it.
  if (bytes.byteLength === 0 || sniffImage(bytes) !== undefined) return readPicture(VENDOR, bytes);
  const json = tryReadJson(bytes);
  if (json === undefined || !isJsonObject(json)) {
    throw badOutput(VENDOR, 'something that is no picture');
  }
  const refusal = json.success === false ? findRefusalInside(VENDOR, json, options) : undefined;
  if (refusal !== undefined) throw refusal;
  const image = isJsonObject(json.result) ? json.result.image : undefined;
  return readPictureText(image, { vendor: VENDOR, asked, signal });
}
