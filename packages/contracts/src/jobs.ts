import type { TerminalEvent } from './events.ts';
import type { UiOutput } from './outputs.ts';

/**
 * A job's life. `pending` and `running` are in the queue, the other three in history; a job is in
 * exactly one of them at any moment (invariant 2).
 */
export const JOB_STATES = ['pending', 'running', 'success', 'error', 'interrupted'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** The words of GET /api/jobs for the same five states. */
export const API_STATUS = {
  pending: 'pending',
  running: 'in_progress',
  success: 'completed',
  error: 'failed',
  interrupted: 'cancelled',
} as const satisfies Record<JobState, string>;
export type ApiJobStatus = (typeof API_STATUS)[JobState];

/** One try at a job on one tier (invariant 11). */
export interface AttemptReport {
  readonly tier: string;
  readonly driver: string;
  /** `ok`, the class of the failure (docs/fallback.md), the code of the job's error, or `stopped`. */
  readonly class: string;
  readonly ms: number;
  readonly message?: string;
}

/** A parameter that a backend was given with another value than asked (steps over its limit, ...). */
export interface ParamChange {
  readonly param: string;
  readonly asked: number | string;
  readonly used: number | string;
}

/** What served a job: the `tiercel` object of a history item. */
export interface ServiceReport {
  readonly served_by: {
    readonly tier: string;
    readonly driver: string;
    readonly model: string | null;
  } | null;
  readonly attempts: readonly AttemptReport[];
  /** Tiers that were passed over, and why. */
  readonly skipped?: readonly { readonly tier: string; readonly reason: string }[];
  /** Served by a tier of other quality than the first that could, or with something left out. */
  readonly degraded: boolean;
  readonly dropped_params: readonly string[];
  readonly changed_params?: readonly ParamChange[];
  /** What of the graph was left out because the policy allows it. */
  readonly omitted?: readonly string[];
  /** A stored result of an equal earlier job. */
  readonly cached?: true;
  /** True when the picture came from the built-in sketch generator, not from a model. */
  readonly sketch?: boolean;
}

/** `meta` of a history item. */
export interface NodeMeta {
  readonly node_id: string;
  readonly display_node: string;
  readonly parent_node: string | null;
  readonly real_node_id: string;
  /** Where there was a choice of tiers. */
  readonly served_by?: ServiceReport['served_by'];
}

/** How a job ended: everything history keeps besides the prompt itself. */
export interface JobResult {
  readonly outcome: 'success' | 'error' | 'interrupted';
  readonly outputs: Readonly<Record<string, UiOutput>>;
  readonly meta: Readonly<Record<string, NodeMeta>>;
  /** `execution_start`, `execution_cached` and the terminal one, as `[type, data]`. */
  readonly messages: readonly (readonly [type: string, data: object])[];
  readonly terminal: TerminalEvent;
  readonly report: ServiceReport;
}
