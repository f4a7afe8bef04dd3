import type {
  FallbackPolicy,
  NodeMeta,
  Omittable,
  OutputRef,
  ParamChange,
  PromptGraph,
  UiOutput,
  WireEvent,
} from '@tiercel/contracts';
import type { GraphAnalysis } from '@tiercel/graph';
import type { SecretMask } from '@tiercel/runtime';
import type { JobSpending } from './spending/job-spending.ts';

export interface PreviewPicture {
  readonly mediaType: 'image/jpeg' | 'image/png';
  readonly bytes: Uint8Array;
  /** The node shows it whatever preview method was asked for: it is no sampler at work. */
  readonly isOwn?: boolean;
}

/** A picture in our storage. */
export interface StoredPicture {
  readonly mediaType: 'image/jpeg' | 'image/png';
  readonly file: OutputRef;
}

/**
 * What happens to the nodes of a job while attempts run; the worker turns it into wire frames. Clients see
 * one job, however many attempts there are: what a further run repeats is not emitted again, and progress
 * never goes back. The listener sees to that.
 */
export interface AttemptListener {
  /** A run of the job begins: what follows is emitted from its beginning, whatever an earlier run emitted. */
  runBegins(): void;
  cached(nodeIds: readonly string[]): void;
  nodeStarted(nodeId: string): void;
  /** `preview` belongs to this step: sockets get both or, when slow, only the progress. */
  progress(
    nodeId: string,
    value: number,
    max: number,
    preview?: PreviewPicture,
    /** A guess from recent times, not told by the backend. */
    isEstimated?: boolean,
  ): void;
  executed(nodeId: string, output: UiOutput | null): void;
  nodeFinished(nodeId: string): void;
  /**
   * Passes on frames of a backend that speaks ComfyUI's wire itself, ids already mapped; `preview` is
   * shown with them.
   */
  relay(events: readonly WireEvent[], preview?: { nodeId: string; picture: PreviewPicture }): void;
  /** A picture that the node sends to sockets as its result (SaveImageWebsocket). */
  picture(nodeId: string, picture: StoredPicture): void;
  /** Text that a node shows while it runs. */
  text(nodeId: string, text: string): void;
}

/** One job as a backend sees it. */
export interface AttemptRequest {
  /** Whose files it reads and writes, and whose stored results may answer it. */
  readonly tenant: string;
  readonly promptId: string;
  readonly graph: PromptGraph;
  /** What `graph` means for `outputIds`; whoever asks reads it here, so that it is worked out once a job. */
  readonly analysis: GraphAnalysis;
  /** The prompt as the caller wrote it (JSON text, 64-bit numbers intact). */
  readonly promptText: string;
  /** The caller's extra_data as it was written, a JSON object, without the credentials in it. */
  readonly extraDataText: string;
  /** Ids of the output nodes to run. */
  readonly outputIds: readonly string[];
  /** What an earlier attempt on this job saved (`saveResumeToken`) before its worker died. */
  readonly resumeToken: string | undefined;
  /** The caller's credentials for API nodes, JSON text; never logged. */
  readonly secretsText: string | undefined;
  /** The caller's say about other tiers (extra_data.fallback); undefined for the configured policy. */
  readonly fallback: FallbackPolicy | undefined;
  /** What the plan lets services leave out of the graph; undefined for what the configuration lets them. */
  readonly mayOmit?: readonly Omittable[] | undefined;
  /** The caller's say about stored results (extra_data.cache). */
  readonly cache: boolean | undefined;
  /** Epoch ms at which the job is stopped. */
  readonly deadlineMs: number;
  /** The tiers that the plan of whose job it is allows; undefined for all. */
  readonly allowedTiers?: readonly string[] | undefined;
}

export interface AttemptContext {
  /** Aborted by interrupt, deadline or shutdown; the backend stops and throws. */
  readonly signal: AbortSignal;
  readonly listener: AttemptListener;
  /** Notes durably where the work is done, so that another worker can go on with it. */
  saveResumeToken(resumeToken: string): Promise<void>;
  /** Resolves when the job's end is on record, and never when another worker has the job by then. */
  readonly recorded: Promise<void>;
  /** What the run uses and costs; undefined: nobody counts it. */
  readonly spending?: JobSpending;
}

/** What the router adds for one attempt. */
export interface TierAttemptContext extends Omit<AttemptContext, 'spending'> {
  /** Another tier could serve the job: waiting for this one to come back is not worth it. */
  readonly hasAlternative: boolean;
  /** The median of this tier's recent attempts in ms, to estimate progress by. */
  readonly expectedMs: number | undefined;
  /**
   * Called when the result is there, before anything is stored. With two attempts at once the first to
   * call goes on.
   * @throws AttemptStopped for the other
   */
  claim(): void;
  /**
   * Told the pictures that were made: by an image service as it was asked for them, by the embedded executor as it
   * stored them. Of a ComfyUI server those that output nodes show are counted. Undefined: nobody counts.
   */
  readonly countPictures?: (images: number, pixels: number) => void;
  /**
   * Takes the job's secrets out of what the backend says. The router does so with all that the listener is told and
   * with the result; a backend does with what leaves it in another way: names of files, say.
   */
  readonly mask: SecretMask;
}

export interface AttemptResult {
  readonly outputs: Readonly<Record<string, UiOutput>>;
  readonly meta: Readonly<Record<string, NodeMeta>>;
  readonly model: string | null;
  readonly droppedParams: readonly string[];
  readonly changedParams?: readonly ParamChange[];
  /** What of the graph was left out because the policy allows it, one sentence each. */
  readonly omitted?: readonly string[];
  readonly sketch: boolean;
}

/** Whether a backend can do a graph at all; asked beforehand, never learnt from a failure. */
export type Support =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** For a person; names the node when one is in the way. */
      readonly reason: string;
      readonly node?: BlamedNode;
    };

/** A node that keeps a backend from doing a graph. */
export interface BlamedNode {
  readonly nodeId: string;
  readonly classType: string;
}

/** A configured tier. Implementations: one folder a driver. */
export interface Backend {
  readonly name: string;
  readonly driver: string;
  /** Limit for one attempt. */
  readonly timeoutMs: number;
  /** It runs in this process: no breaker, no slots, nothing shared. */
  readonly isLocal?: boolean;
  /** The model its results are stored under; undefined when they are not stored. */
  readonly cacheModel?: string;
  supports(request: AttemptRequest): Support;
  /**
   * Asked when an attempt has failed, of a backend that is several servers: whether one of them is left that nothing
   * is known against. Then the failure is that server's, not the tier's.
   */
  hasOtherServer?(): boolean;
  /**
   * Runs one attempt.
   * @throws AttemptError (another tier may do better), JobError (the job has failed for good), or
   *         whatever the aborted signal led to
   */
  run(request: AttemptRequest, context: TierAttemptContext): Promise<AttemptResult>;
}
