import type { TerminalEvent } from './events.ts';
import type { UiOutput } from './outputs.ts';
import type { ServiceReport } from './routing.ts';

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
