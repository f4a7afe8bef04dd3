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
