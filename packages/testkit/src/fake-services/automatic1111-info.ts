import { pythonFloat, stringifyJson } from '@tiercel/contracts';
import type { RenderJob } from './automatic1111-fields.ts';
import type { Work } from './wire.ts';

/** The answer of txt2img and img2img: `info` is JSON in a string. */
export function describeResult(
  job: RenderJob,
  work: Pick<Work, 'paint' | 'count'>,
  checkpoint: string,
): object {
  const seeds = listSeeds(job.seed, job.batchSize * job.batches);
  const images = seeds
    .slice(0, work.count(seeds.length))
    .map((seed) => paintOne(job, seed, work.paint).toString('base64'));
  return {
    images: job.sendsImages ? images : [],
    parameters: job.parameters,
    info: stringifyJson(describeInfo(job, seeds, checkpoint)),
  };
}

/** One picture of a job. */
export function paintOne(job: RenderJob, seed: number | bigint, paint: Work['paint']): Buffer {
  const { prompt, negative, width, height, source } = job;
  return paint({
    prompt: `${prompt}\0${negative}`,
    ...{ seed, width, height, format: 'png' },
    ...(source === undefined ? {} : { source }),
  });
}

/** Each picture has the seed after the one before. */
function listSeeds(first: number | bigint, count: number): (number | bigint)[] {
  return Array.from({ length: count }, (_, index) =>
    typeof first === 'bigint' ? first + BigInt(index) : first + index,
  );
}

function describeInfo(
  job: RenderJob,
  seeds: readonly (number | bigint)[],
  checkpoint: string,
): object {
  const [file = '', hash = ''] = /^(.*?)(?: \[(\w+)\])?$/.exec(checkpoint)?.slice(1) ?? [];
  const model = file.replace(/\.\w+$/, '');
  const [prompt, negative] = [job.prompt, job.negative];
  return {
    ...{ prompt, all_prompts: seeds.map(() => prompt), negative_prompt: negative },
    ...{ all_negative_prompts: seeds.map(() => negative), seed: job.seed, all_seeds: seeds },
    ...{ subseed: job.subseed, all_subseeds: listSeeds(job.subseed, seeds.length) },
    ...{ subseed_strength: 0, width: job.width, height: job.height, sampler_name: job.sampler },
    ...{ cfg_scale: job.cfgScale, steps: job.steps, batch_size: job.batchSize },
    ...{ restore_faces: false, face_restoration_model: null, sd_model_name: model },
    ...{ sd_model_hash: hash, sd_vae_name: null, sd_vae_hash: null, seed_resize_from_w: -1 },
    ...{ seed_resize_from_h: -1, denoising_strength: job.denoise, extra_generation_params: {} },
    ...{ index_of_first_image: 0, infotexts: seeds.map((seed) => describeText(job, seed, model)) },
    ...{ styles: [], job_timestamp: '20261121120000', clip_skip: 1 },
    ...{ is_using_inpainting_conditioning: false, version: 'v1.10.1' },
  };
}

function describeText(job: RenderJob, seed: number | bigint, model: string): string {
  const negative = job.negative === '' ? '' : `\nNegative prompt: ${job.negative}`;
  const settings = [
    `Steps: ${job.steps}`,
    `Sampler: ${job.sampler}`,
    `CFG scale: ${pythonFloat(job.cfgScale)}`,
    `Seed: ${seed.toString()}`,
    `Size: ${job.width}x${job.height}`,
    `Model: ${model}`,
  ];
  return `${job.prompt}${negative}\n${settings.join(', ')}`;
}
