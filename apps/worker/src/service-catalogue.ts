import type { ModelLists, NodeInfo, ObjectInfo } from '@tiercel/contracts';
import { imageClasses, mapInputs, modelInputs, withAnyFile, withChoices } from '@tiercel/graph';
import { embeddedModels } from '@tiercel/nodes';

/**
 * Files that published workflows and the frontends' default graphs name most: a help to choose, and no
 * frontend then takes them for missing. Nobody loads a file; the report says which model painted.
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
  diffusion_models: [
    'flux1-dev.safetensors',
    'flux1-schnell.safetensors',
    'qwen_image_fp8_e4m3fn.safetensors',
    'z_image_turbo_bf16.safetensors',
  ],
  text_encoders: [
    'clip_l.safetensors',
    'clip_g.safetensors',
    't5xxl_fp16.safetensors',
    't5xxl_fp8_e4m3fn.safetensors',
    't5xxl_fp8_e4m3fn_scaled.safetensors',
    'qwen_2.5_vl_7b_fp8_scaled.safetensors',
    'qwen_3_4b.safetensors',
  ],
  vae: [
    'ae.safetensors',
    'qwen_image_vae.safetensors',
    'sdxl_vae.safetensors',
    'vae-ft-mse-840000-ema-pruned.safetensors',
  ],
};

/**
 * Model files to choose from where nobody loads one, by folder; a frontend takes the first for a new node.
 * @param checkpoints that tiers are configured to stand for
 */
export function listModelNames(checkpoints: readonly string[]): ModelLists {
  const lists: ModelLists[] = [
    { checkpoints, diffusion_models: checkpoints },
    embeddedModels,
    USUAL_MODELS,
  ];
  const folders = new Set(lists.flatMap((list) => Object.keys(list)));
  return Object.fromEntries(
    [...folders].map((folder) => [folder, [...new Set(lists.flatMap((l) => l[folder] ?? []))]]),
  );
}

/** The classes that image services stand for. */
export function describeServiceClasses(models: ModelLists): ObjectInfo {
  return acceptAnyFile(imageClasses, models);
}

/** The same classes with these files in their lists, and any other name taken for a file as well. */
export function acceptAnyFile(classes: ObjectInfo, models: ModelLists): ObjectInfo {
  return Object.fromEntries(
    Object.entries(classes).map(([name, info]): [string, NodeInfo] => {
      const inputs = new Map(modelInputs.get(name)?.map(({ input, folder }) => [input, folder]));
      if (inputs.size === 0) return [name, info];
      return [
        name,
        mapInputs(info, (spec, input) => {
          const folder = inputs.get(input);
          return folder === undefined ? spec : withAnyFile(withChoices(spec, models[folder] ?? []));
        }),
      ];
    }),
  );
}
