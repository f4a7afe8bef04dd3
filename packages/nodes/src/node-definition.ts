import type { InputSpec, JsonValue, NewOutput, OutputRef, UiOutput } from '@tiercel/contracts';

/** Inputs by name: widget values coerced to their declared type, links resolved to what they carry. */
export type NodeInputs = Readonly<Record<string, unknown>>;

/** The values ComfyUI offers to a node beyond its graph inputs. */
export type HiddenInput = 'PROMPT' | 'EXTRA_PNGINFO' | 'UNIQUE_ID';

export interface PreviewImageBytes {
  readonly mediaType: 'image/jpeg' | 'image/png';
  readonly bytes: Uint8Array;
}

/** A preview as it is reported. */
export interface ReportedPreview extends PreviewImageBytes {
  /** The node is no sampler: what it shows is sent whatever preview method was asked for. */
  readonly isOwn: boolean;
}

export interface NodeResult {
  /** One value per entry of `output`; slot n of a link reads `outputs[n]`. */
  readonly outputs: readonly unknown[];
  /** What the node shows: goes into the `executed` frame and into history. */
  readonly ui?: UiOutput | undefined;
}

/** What a node may know before it runs, for its cache key. */
export interface FingerprintContext {
  readonly nodeId: string;
  readonly promptText: string;
  /** A cache key for an input file, such as a hash. Rejects when there is no such file. */
  fingerprintInput(annotatedName: string): Promise<string>;
}

/** What a running node may use. Nothing else: no network, no files of its own. */
export interface NodeContext {
  readonly nodeId: string;
  readonly promptId: string;
  /** Aborted when the job is interrupted or out of time; `progress` and `sleep` then throw. */
  readonly signal: AbortSignal;
  /** The prompt graph as JSON text, as the caller wrote it. */
  readonly promptText: string;
  /** `extra_data.extra_pnginfo` as JSON text. */
  readonly extraPnginfo: string | undefined;
  /** Most pixels (width * height * frames) a node may load or make. */
  readonly maxPixels: number;
  /**
   * To be asked before a node makes something large: waits until the process has room for so many bytes, which
   * then count as taken until the node returns. From then on counts what it returned.
   * @throws MemoryLimitError when a job may never have that much; ExecutionInterrupted or the signal's reason
   */
  readonly reserveMemory: (bytes: number) => Promise<void>;
  /** @throws ExecutionInterrupted when the job was aborted */
  progress(value: number, max: number, preview?: PreviewImageBytes): void;
  /**
   * Sends a picture to the client's sockets as a result, as ComfyUI's SaveImageWebsocket does. It is
   * stored in `temp` for those that are slow or away.
   */
  sendPicture(picture: PreviewImageBytes): Promise<void>;
  /** Stores a file under a fresh name. */
  saveOutput(output: NewOutput): Promise<OutputRef>;
  /** Reads an uploaded file: `name.png`, `sub/name.png`, `name.png [output]`. */
  readInput(annotatedName: string): Promise<Uint8Array>;
  /** @throws ExecutionInterrupted when the job is aborted meanwhile */
  sleep(durationMs: number): Promise<void>;
}

/**
 * A node class. Field names that are snake_case are those of ComfyUI's object_info.
 * A node's `run` must not change its inputs: they are shared with the cache and with other jobs.
 */
export interface NodeDefinition {
  readonly class_type: string;
  readonly display_name?: string;
  readonly category?: string;
  readonly description?: string;
  /** An output node is a root of execution, as ComfyUI's OUTPUT_NODE. */
  readonly output_node?: boolean;
  readonly input: {
    readonly required?: Readonly<Record<string, InputSpec>>;
    readonly optional?: Readonly<Record<string, InputSpec>>;
    readonly hidden?: Readonly<Record<string, HiddenInput>>;
  };
  readonly output: readonly string[];
  readonly output_name?: readonly string[];
  /** Outputs that give an array of values in place of one: what reads them runs once for each (OUTPUT_IS_LIST). */
  readonly output_is_list?: readonly boolean[];
  /** Each input comes as an array, and the node runs once for a whole list (INPUT_IS_LIST). */
  readonly is_input_list?: boolean;
  /** Values that it does not declare are given to it all the same, as they are. */
  readonly takesAllInputs?: boolean;
  /** Shown in object_info; plug-ins get `custom_nodes.tiercel.<file stem>`. */
  readonly python_module?: string;
  /** Further members of the object_info entry (`output_tooltips`, `deprecated`, ...). */
  readonly info?: Readonly<Record<string, JsonValue>>;
  /**
   * Extra material for the cache key, as ComfyUI's IS_CHANGED; sees widget values only, no linked ones.
   * NaN or a throw means "always changed": the node and all behind it run every time.
   */
  fingerprint?(inputs: NodeInputs, context: FingerprintContext): unknown;
  /**
   * ComfyUI's check_lazy_status: which of the links to inputs declared `lazy` are needed. Asked before each
   * run with what is there, and again once that is made; what it never names is not made for it, and is not
   * among the inputs of `run`.
   */
  needs?(inputs: NodeInputs): readonly string[];
  /** ComfyUI's VALIDATE_INPUTS: true, or what is wrong. May return a promise. */
  validate?(inputs: NodeInputs): true | string | Promise<true | string>;
  /**
   * Only of an output node that shows nothing but `images`, PNGs of the pixels that it gets: where it stores them, for
   * these values of its inputs. Undefined when these values do not tell. That of a plug-in is not asked.
   */
  pictureName?(inputs: NodeInputs, promptText: string): PictureName | undefined;
  run(inputs: NodeInputs, context: NodeContext): Promise<NodeResult>;
}

/** What files are called that a node stores. */
export type PictureName = Pick<NewOutput, 'type' | 'prefix'>;

/**
 * What a node throws to end its job with a clear text.
 * `exceptionType` is shown as ComfyUI shows Python's exception class.
 */
export class NodeError extends Error {
  constructor(message: string, options: { exceptionType?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = options.exceptionType ?? 'RuntimeError';
  }
}
