import { parseJson, type ObjectInfo } from '@tiercel/contracts';
import { IMAGE_CLASSES_JSON } from './image-classes-data.ts';

/** Every class that `lowerGraph` knows, as /object_info declares it; the lists of model files are empty. */
// The text is a part of ComfyUI's own catalogue.
export const imageClasses = parseJson(IMAGE_CLASSES_JSON) as unknown as ObjectInfo;

/** An input that names a model file. */
export interface ModelInput {
  readonly input: string;
  /** The folder of `/models/<folder>` whose files may be chosen. */
  readonly folder: string;
}

const at = (folder: string, ...inputs: readonly string[]): readonly ModelInput[] =>
  inputs.map((input) => ({ input, folder }));

/** Class -> the inputs of `imageClasses` whose choices are model files. */
export const modelInputs: ReadonlyMap<string, readonly ModelInput[]> = new Map([
  ['CheckpointLoaderSimple', at('checkpoints', 'ckpt_name')],
  ['CheckpointLoader', at('checkpoints', 'ckpt_name')],
  ['unCLIPCheckpointLoader', at('checkpoints', 'ckpt_name')],
  ['ImageOnlyCheckpointLoader', at('checkpoints', 'ckpt_name')],
  ['UNETLoader', at('diffusion_models', 'unet_name')],
  ['DiffusersLoader', at('diffusers', 'model_path')],
  ['CLIPLoader', at('text_encoders', 'clip_name')],
  ['DualCLIPLoader', at('text_encoders', 'clip_name1', 'clip_name2')],
  ['TripleCLIPLoader', at('text_encoders', 'clip_name1', 'clip_name2', 'clip_name3')],
  [
    'QuadrupleCLIPLoader',
    at('text_encoders', 'clip_name1', 'clip_name2', 'clip_name3', 'clip_name4'),
  ],
  ['VAELoader', at('vae', 'vae_name')],
  ['LoraLoader', at('loras', 'lora_name')],
  ['LoraLoaderModelOnly', at('loras', 'lora_name')],
  ['LoraLoaderBypass', at('loras', 'lora_name')],
  ['LoraLoaderBypassModelOnly', at('loras', 'lora_name')],
  ['CreateHookLora', at('loras', 'lora_name')],
  ['CreateHookLoraModelOnly', at('loras', 'lora_name')],
  ['CreateHookModelAsLora', at('checkpoints', 'ckpt_name')],
  ['CreateHookModelAsLoraModelOnly', at('checkpoints', 'ckpt_name')],
  ['HypernetworkLoader', at('hypernetworks', 'hypernetwork_name')],
  ['ControlNetLoader', at('controlnet', 'control_net_name')],
  ['DiffControlNetLoader', at('controlnet', 'control_net_name')],
  ['StyleModelLoader', at('style_models', 'style_model_name')],
  ['CLIPVisionLoader', at('clip_vision', 'clip_name')],
  ['GLIGENLoader', at('gligen', 'gligen_name')],
  ['ModelPatchLoader', at('model_patches', 'name')],
  ['PhotoMakerLoader', at('photomaker', 'photomaker_model_name')],
  ['UpscaleModelLoader', at('upscale_models', 'model_name')],
]);
