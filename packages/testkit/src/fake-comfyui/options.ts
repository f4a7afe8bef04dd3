import type { JsonObject, ObjectInfo } from '@tiercel/contracts';

/** What one fake server is; every option may be left out. JSON-safe, so that it crosses processes. */
export interface FakeComfyUiOptions {
  /** Shown in its page and in every answer's `x-fake-comfyui`; default `fake`. */
  readonly name?: string;
  /** Default 0: any free port of 127.0.0.1. */
  readonly port?: number;
  /** Holds input, output, temp and the journal; default: a temporary folder. */
  readonly folder?: string;
  /** The node classes it has, of those it knows; default: all. */
  readonly classes?: readonly string[];
  /** Further classes, as in /object_info. They run at once and give a picture for each output. */
  readonly extraClasses?: ObjectInfo;
  /** What CheckpointLoaderSimple offers; default: the one of wire 10.5. */
  readonly checkpoints?: readonly string[];
  /** Folder of /models -> file names; `loras` are what LoraLoader offers. */
  readonly models?: Readonly<Record<string, readonly string[]>>;
  readonly embeddings?: readonly string[];
  /** What /extensions lists; each is served. Default: one. */
  readonly extensions?: readonly string[];
  /** Of one KSampler step; default 2. */
  readonly stepMs?: number;
  /** Of loading a checkpoint that was not the last one used; default 0. */
  readonly loadMs?: number;
  /** From `execution_success` until history has the prompt; default 0. A real server takes a moment. */
  readonly historyMs?: number;
  /** Previews are padded to this size; default: as small as they are. */
  readonly previewBytes?: number;
  /** Merged into the device of /system_stats. */
  readonly device?: JsonObject;
  /** Merged into `system` of /system_stats: versions. */
  readonly system?: JsonObject;
  /** Merged into /features. */
  readonly features?: JsonObject;
  /** What /node_replacements tells; default: no such route, as before ComfyUI 0.24. They are not applied. */
  readonly nodeReplacements?: JsonObject | null;
  /** Id -> entry of /global_subgraphs with its `data`; default: no such route. */
  readonly subgraphs?: Readonly<Record<string, JsonObject>> | null;
  readonly i18n?: JsonObject;
  /** Pack -> names of its example workflows; each is served. */
  readonly workflowTemplates?: Readonly<Record<string, readonly string[]>>;
  /** `folder/file` -> what /view_metadata tells of it. */
  readonly modelMetadata?: Readonly<Record<string, JsonObject>>;
  /** Models with a preview picture: `folder/file`, in the first folder of that name. */
  readonly modelPreviews?: readonly string[];
  /** Refuses a prompt_id that is not a canonical lowercase UUID, as ComfyUI 0.38 does; default false. */
  readonly requiresUuid?: boolean;
  /** JSON without Python's spaces, for tests that compare texts; default false. */
  readonly compactJson?: boolean;
  /** `user:password` that every request must carry, as behind a proxy that asks for it; default: nobody asks. */
  readonly login?: string;
  /** Whether history outlives the process, which it does not in ComfyUI; default false. */
  readonly keepsHistory?: boolean;
}

export type FakeSettings = Required<FakeComfyUiOptions>;

const DEFAULT_CHECKPOINT = 'v1-5-pruned-emaonly.safetensors';

/** Fills in the defaults. */
export function completeOptions(options: FakeComfyUiOptions, folder: string): FakeSettings {
  return {
    ...{ name: 'fake', port: 0, classes: [], extraClasses: {}, models: {}, embeddings: [] },
    ...{ checkpoints: [DEFAULT_CHECKPOINT], extensions: ['/extensions/fake/x.js'] },
    ...{ system: {}, features: {}, nodeReplacements: null, subgraphs: null },
    ...{ modelMetadata: {}, modelPreviews: [], i18n: {}, workflowTemplates: {} },
    ...{ stepMs: 2, loadMs: 0, historyMs: 0, previewBytes: 0, device: {} },
    ...{ requiresUuid: false, keepsHistory: false, compactJson: false, login: '', folder },
    ...options,
  };
}
