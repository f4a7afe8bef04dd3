import { AID, type GraphValue } from './graph-value.ts';
import type { Handler } from './lower-values.ts';
import type { NodeReader } from './node-reader.ts';

function loadModel(input: string, aids: number): Handler {
  return (node) => [
    { kind: 'model', checkpoint: node.text(input) },
    ...Array.from({ length: aids }, () => AID),
  ];
}

const loadAid: Handler = () => [AID];

/** Says no to what a model cannot be loaded from. */
const loadVideoModel: Handler = (node) => {
  node.object('shape', 'loads a model that is prompted by a picture, which image services cannot');
  return [{ kind: 'model', checkpoint: node.text('ckpt_name') }, AID, AID];
};

const passModel: Handler = (node) => [readModel(node)];

const patchModel: Handler = (node) => {
  node.object('model_patch', 'patches the model, which image services cannot');
  return [readModel(node)];
};

const patchClip: Handler = (node) => {
  node.object('model_patch', 'patches the text encoder, which image services cannot');
  return [AID];
};

const applyHypernetwork: Handler = (node) => {
  if (node.number('strength') !== 0) {
    node.object('model_patch', 'applies a hypernetwork, which image services cannot');
  }
  return [readModel(node)];
};

const mergeModels: Handler = (node) => {
  node.object('custom', 'merges two models, which image services cannot');
  return [{ kind: 'model', checkpoint: node.checkpoint('model1') }];
};

/** Goes through the model, and without strength it is none. */
const controlModel: Handler = (node) => {
  if (node.number('strength') !== 0) {
    node.object('controlnet', 'applies a ControlNet, which image services cannot');
  }
  return [readModel(node)];
};

const styleModel: Handler = (node) => {
  node.object('clip_vision', 'takes its style from a picture, which image services cannot');
  return [readModel(node)];
};

const hookClip: Handler = (node) => {
  if (node.has('hooks')) node.object('lora', 'applies a LoRA, which image services cannot');
  return [AID];
};

/** A LoRA of no strength at all is none. */
function applyLora(strengths: readonly string[]): Handler {
  return (node) => {
    if (strengths.some((strength) => node.number(strength) !== 0)) {
      node.object('lora', 'applies a LoRA, which image services cannot');
    }
    return [readModel(node), AID];
  };
}

function readModel(node: NodeReader): GraphValue {
  return { kind: 'model', checkpoint: node.checkpoint('model') };
}

/** Patches that change how fast or on which schedule a model works, not what it draws. */
const HARMLESS_PATCHES = [
  'ModelSamplingDiscrete',
  'ModelSamplingContinuousEDM',
  'ModelSamplingContinuousV',
  'ModelSamplingSD3',
  'ModelSamplingAuraFlow',
  'ModelSamplingFlux',
  'TorchCompileModel',
  'ModelComputeDtype',
  'EasyCache',
  'LazyCache',
  'TomePatchModel',
  'HyperTile',
  'ModelSamplingStableCascade',
  'ModelAttentionBackend',
  'FluxKVCache',
  'ChromaRadianceOptions',
  'SelectModelDevice',
];

const MODEL_PATCHES = [
  'FreeU',
  'FreeU_V2',
  'RescaleCFG',
  'PatchModelAddDownscale',
  'SelfAttentionGuidance',
  'PerpNeg',
  'PerturbedAttentionGuidance',
  'SkipLayerGuidanceSD3',
  'SkipLayerGuidanceDiT',
  'SkipLayerGuidanceDiTSimple',
  'Mahiro',
  'RenormCFG',
  'CFGZeroStar',
  'CFGNorm',
  'FreSca',
  'APG',
  'TCFG',
  'Epsilon Scaling',
  'DifferentialDiffusion',
  'UNetSelfAttentionMultiply',
  'UNetCrossAttentionMultiply',
  'UNetTemporalAttentionMultiply',
  'LatentApplyOperationCFG',
  'CFGOverride',
  'ModelNoiseScale',
  'TemporalScoreRescaling',
  'NAGuidance',
  'ScaleROPE',
  'HiDreamO1PatchSeamSmoothing',
  'SUPIRApply',
];

/** Loaders whose file says nothing to an image service, and changes of CLIP that it cannot see. */
const AID_LOADERS = [
  'CLIPLoader',
  'DualCLIPLoader',
  'TripleCLIPLoader',
  'QuadrupleCLIPLoader',
  'CLIPSetLastLayer',
  'T5TokenizerOptions',
  'VAELoader',
  // Obstacles only where they are applied: at strength 0 they are none.
  'ControlNetLoader',
  'DiffControlNetLoader',
  'SetUnionControlNetType',
  'StyleModelLoader',
  'CLIPVisionLoader',
  'CLIPVisionEncode',
  'GLIGENLoader',
  'PhotoMakerLoader',
  'ModelPatchLoader',
  'UpscaleModelLoader',
  'CLIPMergeSimple',
  'CLIPMergeSubtract',
  'CLIPMergeAdd',
  'SelectCLIPDevice',
  'SelectVAEDevice',
  'LatentOperationTonemapReinhard',
  'LatentOperationSharpen',
  'CreateHookLora',
  'CreateHookLoraModelOnly',
  'CreateHookModelAsLora',
  'CreateHookModelAsLoraModelOnly',
  'SetHookKeyframes',
  'CreateHookKeyframe',
  'CreateHookKeyframesInterpolated',
  'CombineHooks2',
  'CombineHooks4',
  'CombineHooks8',
];

/** Nodes that load and change models. */
export const modelHandlers: readonly (readonly [string, Handler])[] = [
  ['CheckpointLoaderSimple', loadModel('ckpt_name', 2)],
  ['CheckpointLoader', loadModel('ckpt_name', 2)],
  ['unCLIPCheckpointLoader', loadModel('ckpt_name', 3)],
  ['DiffusersLoader', loadModel('model_path', 2)],
  ['UNETLoader', loadModel('unet_name', 0)],
  ['ImageOnlyCheckpointLoader', loadVideoModel],
  ['LoraLoader', applyLora(['strength_model', 'strength_clip'])],
  ['LoraLoaderModelOnly', applyLora(['strength_model'])],
  ['LoraLoaderBypass', applyLora(['strength_model', 'strength_clip'])],
  ['LoraLoaderBypassModelOnly', applyLora(['strength_model'])],
  ['ModelMergeSimple', mergeModels],
  ['ModelMergeBlocks', mergeModels],
  ['ModelMergeSubtract', mergeModels],
  ['ModelMergeAdd', mergeModels],
  ['QwenImageDiffsynthControlnet', controlModel],
  ['ZImageFunControlnet', controlModel],
  ['AnimaLLLiteApply', controlModel],
  ['USOStyleReference', styleModel],
  ['SetClipHooks', hookClip],
  ['ConditioningTimestepsRange', () => [AID, AID, AID]],
  ['HypernetworkLoader', applyHypernetwork],
  ['CLIPAttentionMultiply', patchClip],
  ...AID_LOADERS.map((name) => [name, loadAid] as const),
  ...HARMLESS_PATCHES.map((name) => [name, passModel] as const),
  ...MODEL_PATCHES.map((name) => [name, patchModel] as const),
];

/** IP-Adapters come as many custom classes, all with it in their names. */
export function isIpAdapter(classType: string): boolean {
  return /ip-?adapter/i.test(classType);
}

/** The model goes through an IP-Adapter; a class that only loads one is no obstacle by itself. */
export const applyIpAdapter: Handler = (node) => {
  if (!node.has('model')) return [AID, AID, AID, AID];
  node.object('ip_adapter', 'applies an IP-Adapter, which image services cannot');
  return [readModel(node), AID, AID, AID];
};
