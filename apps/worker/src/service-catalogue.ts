import {
  mergeModelLists,
  type ModelLists,
  type NodeInfo,
  type ObjectInfo,
} from '@tiercel/contracts';
import { imageClasses, mapInputs, modelInputs, withChoices } from '@tiercel/graph';
import { embeddedModels } from '@tiercel/nodes';

/**
 * Files that published workflows name most. An image service has no files; a prompt that names one of these
 * is a prompt for a picture all the same, and the report says which model painted it.
 */
const USUAL_MODELS: ModelLists = {
  checkpoints: [
    'sd_xl_base_1.0.safetensors',
    'sd_xl_refiner_1.0.safetensors',
    'sd_xl_turbo_1.0_fp16.safetensors',
    'flux1-dev-fp8.safetensors',
    'flux1-schnell-fp8.safetensors',
    'sd3.5_large.safetensors',
    'sd3.5_medium.safetensors',
    'dreamshaper_8.safetensors',
  ],
  diffusion_models: ['flux1-dev.safetensors', 'flux1-schnell.safetensors'],
  text_encoders: [
    'clip_l.safetensors',
    'clip_g.safetensors',
    't5xxl_fp16.safetensors',
    't5xxl_fp8_e4m3fn.safetensors',
    't5xxl_fp8_e4m3fn_scaled.safetensors',
  ],
  vae: ['ae.safetensors', 'sdxl_vae.safetensors', 'vae-ft-mse-840000-ema-pruned.safetensors'],
};

/** Model files that prompts for image services may name, by folder. */
export function listServiceModels(checkpoints: readonly string[]): ModelLists {
  const configured = { checkpoints, diffusion_models: checkpoints };
  return mergeModelLists([configured, embeddedModels, USUAL_MODELS]);
}

/** The classes that image services stand for, with these model files to choose from. */
export function describeServiceClasses(models: ModelLists): ObjectInfo {
  return Object.fromEntries(
    Object.entries(imageClasses).map(([name, info]): [string, NodeInfo] => {
      const inputs = new Map(modelInputs.get(name)?.map(({ input, folder }) => [input, folder]));
      if (inputs.size === 0) return [name, info];
      return [
        name,
        mapInputs(info, (spec, input) => {
          const folder = inputs.get(input);
          return folder === undefined ? spec : withChoices(spec, models[folder] ?? []);
        }),
      ];
    }),
  );
}
