export { createBuiltinNodes, sketchClasses } from './builtins/create-builtin-nodes.ts';
export {
  createEmbeddedBackend,
  type EmbeddedBackendOptions,
} from './driver/create-embedded-backend.ts';
export { runInExecutor, type Executor } from './driver/run-in-executor.ts';
export { embeddedModels } from './embedded-models.ts';
export type { NodeFiles } from './executor/execution-request.ts';
export { NodeCache } from './executor/node-cache.ts';
export { outputKeys, type OutputKeysRequest } from './executor/output-keys.ts';
export {
  NodeError,
  type FingerprintContext,
  type HiddenInput,
  type NodeContext,
  type NodeDefinition,
  type NodeInputs,
  type NodeResult,
  type PreviewImageBytes,
} from './node-definition.ts';
export { loadPlugins, type PluginApi } from './plugins.ts';
export { createRegistry, type NodeRegistry } from './registry.ts';
export { SKETCH_GENERATOR } from './sketch/sample.ts';
export type { ImageBatch, Latent, MaskBatch, SketchMark } from './values.ts';
export type { FrameWork } from './image/frame-work.ts';
export { joinPictures, renderMaskPng, renderPngs } from './latent-pictures.ts';
export { readLatent } from './read-input.ts';
