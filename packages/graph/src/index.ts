export { coerceInput, CoercionError } from './coerce-input.ts';
export {
  hasDynamicInputs,
  inputSpecs,
  isJudgedByServer,
  isUploadInput,
  PLUGIN_MODULE,
  type DeclaredInput,
} from './input-specs.ts';
export { pythonStr } from './python-text.ts';
export { rejectMissingPrompt } from './prompt-errors.ts';
export { replaceNodes } from './replace-nodes.ts';
export { validatePrompt, type ValidationResult } from './validate-prompt.ts';
export { choicesOf, withAnyFile, withChoices } from './combo-choices.ts';
export { mapInputs, mergeObjectInfo } from './merge-object-info.ts';
export { imageClasses, modelInputs } from './lower/image-classes.ts';
export type { Lowering, SampleRequest, SampleStage } from './lower/lowering.ts';
export {
  convertCase,
  countCharacters,
  replaceText,
  sliceText,
  trimText,
} from './lower/string-functions.ts';
export { describeNeeds, type GraphNeeds } from './describe-needs.ts';
export { describeWork } from './describe-work.ts';
export { joinTexts } from './lower/prompt-texts.ts';
export { GraphAnalysis } from './graph-analysis.ts';
export {
  listClasses,
  readNodes,
  type GraphNode,
  type GraphNodes,
  type NodeLink,
} from './graph-nodes.ts';
export { sortBySources, walkGraph } from './walk-graph.ts';
export { pictureKind, type PictureKind } from './picture-kind.ts';
export {
  createCutSigmas,
  createSigmas,
  createTurboSigmas,
  parseSigmas,
  splitSigmas,
  splitSigmasByDenoise,
  summariseSigmas,
  type Sigmas,
} from './sigmas.ts';
export { describeDemand, type Demand } from './describe-demand.ts';
export { measureProgress, outlineGraph, type Outline } from './outline.ts';
export {
  convertWorkflow,
  type Conversion,
  type ConversionOptions,
} from './workflow/convert-workflow.ts';
export { isSavedWorkflow } from './workflow/saved-workflow.ts';
