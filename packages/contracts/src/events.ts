import type { OutputRef, UiOutput } from './outputs.ts';
import type { NodeErrors } from './prompt.ts';
import type { ServiceReport } from './routing.ts';

/** One node's entry in a `progress_state` frame. */
export interface NodeProgress {
  readonly value: number;
  readonly max: number;
  readonly state: 'pending' | 'running' | 'finished' | 'error';
  readonly node_id: string;
  readonly prompt_id: string;
  readonly display_node_id: string;
  readonly parent_node_id: string | null;
  readonly real_node_id: string;
  /** Ours: a guess from recent times, not told by the backend. */
  readonly estimated?: true;
}

/**
 * Events of one job, as they stand in ComfyUI's text frames: `{"type": ..., "data": ...}`.
 * Contents: wire 3; order: wire 5; what differs: docs/compatibility.md.
 */
export type JobEvent =
  | { readonly type: 'execution_start'; readonly data: { prompt_id: string; timestamp: number } }
  | {
      readonly type: 'execution_cached';
      readonly data: { nodes: readonly string[]; prompt_id: string; timestamp: number };
    }
  | {
      readonly type: 'executing';
      readonly data: { node: string | null; display_node?: string; prompt_id: string };
    }
  | {
      readonly type: 'progress';
      readonly data: {
        value: number;
        max: number;
        prompt_id: string;
        node: string;
        /** True for a guess from recent times: the backend tells no progress. */
        estimated?: true;
      };
    }
  | {
      readonly type: 'progress_state';
      readonly data: { prompt_id: string; nodes: Readonly<Record<string, NodeProgress>> };
    }
  | {
      readonly type: 'executed';
      readonly data: {
        node: string;
        display_node: string;
        output: UiOutput | null;
        prompt_id: string;
      };
    }
  /** What served the job; only for sockets that asked for it (feature flag supports_tiercel_report). */
  | { readonly type: 'tiercel_report'; readonly data: { prompt_id: string } & ServiceReport }
  /** It runs no more and waits again; only for sockets that asked for it (feature flag supports_tiercel_queue). */
  | {
      readonly type: 'tiercel_requeued';
      readonly data: { prompt_id: string; reason: 'preempted'; timestamp: number };
    }
  /**
   * A picture that a node sends to sockets as its result (SaveImageWebsocket). Event streams tell where it
   * is stored; sockets are sent the picture itself in place of this frame.
   */
  | { readonly type: typeof PICTURE_TYPE; readonly data: ResultPicture }
  | { readonly type: 'execution_success'; readonly data: { prompt_id: string; timestamp: number } }
  | { readonly type: 'execution_error'; readonly data: ExecutionErrorData }
  | { readonly type: 'execution_interrupted'; readonly data: ExecutionInterruptedData };

export const PICTURE_TYPE = 'tiercel_picture';

export interface ResultPicture {
  readonly prompt_id: string;
  /** Which of the node's pictures, from 0. */
  readonly index: number;
  readonly node: NodeIdentity;
  readonly image_type: 'image/jpeg' | 'image/png';
  readonly file: OutputRef;
}

/** Any text frame: ours, or one that a backend passes on. */
export interface WireEvent {
  readonly type: string;
  readonly data: object;
}

export interface ExecutionErrorData {
  readonly prompt_id: string;
  readonly node_id: string;
  readonly node_type: string;
  readonly executed: readonly string[];
  readonly exception_message: string;
  readonly exception_type: string;
  readonly traceback: readonly string[];
  readonly current_inputs: Readonly<Record<string, unknown>>;
  readonly current_outputs: readonly string[];
  /** When a backend refused the prompt: what it said of its nodes. ComfyUI says this only to POST /prompt. */
  readonly node_errors?: Readonly<Record<string, NodeErrors>>;
  readonly timestamp: number;
}

interface ExecutionInterruptedData {
  readonly prompt_id: string;
  readonly node_id: string | null;
  readonly node_type: string | null;
  readonly executed: readonly string[];
  readonly timestamp: number;
}

export type TerminalEvent = Extract<
  JobEvent,
  { type: 'execution_success' | 'execution_error' | 'execution_interrupted' }
>;

/**
 * A preview of a running node: the bytes of a JPEG or PNG, or UTF-8 text that it shows (binary event 3).
 * Never stored, but for the last.
 */
export interface Preview {
  readonly promptId: string;
  readonly node: NodeIdentity;
  readonly mediaType: 'image/jpeg' | 'image/png' | 'text/plain';
  readonly bytes: Uint8Array;
  /**
   * False: nobody asked for it (extra_data.preview_method), and only sockets that announced their features
   * are sent it; a script would take it for a result.
   */
  readonly forAll: boolean;
}

/** The four ids ComfyUI gives a node; they differ only inside expanded sub-graphs. */
export interface NodeIdentity {
  readonly node_id: string;
  readonly display_node_id: string;
  readonly parent_node_id: string | null;
  readonly real_node_id: string;
}

export function plainNode(nodeId: string): NodeIdentity {
  return { node_id: nodeId, display_node_id: nodeId, parent_node_id: null, real_node_id: nodeId };
}
