import type { NewOutput, OutputRef, UiOutput } from '@tiercel/contracts';
import type { GraphNodes } from '@tiercel/graph';
import type { MemoryBudget } from '@tiercel/pictures';
import type { NodeDefinition, ReportedPreview } from '../node-definition.ts';
import type { NodeRegistry } from '../registry.ts';
import type { NodeResults } from './node-cache.ts';

/** Told what happens, in order. Composing ComfyUI's frames from it is the caller's part. */
interface ExecutorListener {
  /** Once, before anything else: every node of the prompt whose result is in the cache. */
  cached(nodeIds: readonly string[]): void;
  nodeStarted(nodeId: string): void;
  progress(nodeId: string, value: number, max: number, preview?: ReportedPreview): void;
  /** A node sent a picture as its result; it is stored. */
  picture(nodeId: string, picture: StoredNodePicture): void;
  /** A node showed something. From the cache, `ui` may be null and nodeStarted was not called. */
  executed(nodeId: string, ui: UiOutput | null, fromCache: boolean): void;
  nodeFinished(nodeId: string): void;
}

interface StoredNodePicture {
  readonly mediaType: 'image/jpeg' | 'image/png';
  readonly file: OutputRef;
}

/** The only way to files. Names are annotated as in ComfyUI: `name.png [input]`. */
export interface NodeFiles {
  saveOutput(output: NewOutput): Promise<OutputRef>;
  /** @param beforeRead told the size in bytes of the file; it is read when that resolves */
  readInput(
    annotatedName: string,
    beforeRead?: (sizeBytes: number) => Promise<void>,
  ): Promise<Uint8Array>;
  /** A cache key for an input file; rejects when it does not exist. */
  fingerprint(annotatedName: string): Promise<string>;
  outputExists(output: OutputRef): Promise<boolean>;
}

export interface ExecutionRequest {
  readonly promptId: string;
  /** Read from what contracts' parseJson gives, so that 64-bit integers are bigints. */
  readonly graph: GraphNodes;
  /** The same graph as the caller wrote it. */
  readonly promptText: string;
  readonly extraPnginfo: string | undefined;
  /** Ids of the output nodes to execute. */
  readonly outputs: readonly string[];
  readonly registry: NodeRegistry;
  /** Run in place of what the registry has, by node id. */
  readonly nodeOverrides?: ReadonlyMap<string, NodeDefinition>;
  readonly cache: NodeResults;
  readonly files: NodeFiles;
  readonly signal: AbortSignal;
  readonly maxPixels: number;
  /** What all jobs of the process may take for their pictures. */
  readonly memory: MemoryBudget;
  readonly listener: ExecutorListener;
}
