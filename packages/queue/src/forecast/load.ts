/** What is known of the run time of a job that has not ended. */
export interface Cost {
  /** What jobs of its signature have run for. */
  readonly knownMs: number | undefined;
  /** What its graph asks for, on a scale of its own. */
  readonly estimateMs: number | undefined;
}

export interface RunUnderWay {
  /** By Redis' clock. */
  readonly takenAtMs: number;
  readonly cost: Cost;
}

/** Where a tenant waits for its turn: with a tag, having just come, or at a limit (ADR 21). */
type TurnSet = 'tenants' | 'comers' | 'held';

export interface WaitingTenant {
  readonly set: TurnSet;
  readonly id: string;
  /** Undefined for one without an account. */
  readonly tag: number | undefined;
  readonly weight: number;
  /** Infinity: not limited. */
  readonly maxRunning: number;
  readonly intervalMs: number;
  readonly pending: number;
  readonly running: number;
  /** Of its next job. */
  readonly cost: Cost;
}

/** What bears on when waiting jobs will start, of all tenants, as read at one moment. */
export interface Load {
  /** By Redis' clock. */
  readonly nowMs: number;
  readonly virtualTime: number;
  /** Jobs that have ended well of late, the last one first. */
  readonly runs: readonly {
    readonly tenant: string;
    readonly ms: number;
    readonly estimateMs: number | undefined;
  }[];
  readonly running: readonly (RunUnderWay & {
    /** Jobs of its concurrency group that wait: the next of them takes its hand. */
    readonly followers: number;
  })[];
  /** How many tenants wait in each set. */
  readonly counts: Readonly<Record<TurnSet, number>>;
  /** All of them, or a sample of each set. */
  readonly tenants: readonly WaitingTenant[];
}

/** Where a job stands; ranks count from 0. */
export type Place =
  | {
      readonly state: 'pending';
      /** Among the waiting jobs of its tenant. */
      readonly rank: number;
      /** Among those that may be taken; undefined while its concurrency group, or its answer, holds it back. */
      readonly readyRank: number | undefined;
      readonly groupRank: number | undefined;
      /** The job of its group that runs. */
      readonly groupHead: RunUnderWay | undefined;
      readonly cost: Cost;
    }
  | ({ readonly state: 'running' } & RunUnderWay);

/** Jobs of one tenant, and what bears on their turn and is the tenant's own. */
export interface Places {
  /** By Redis' clock. */
  readonly nowMs: number;
  /** '' while nothing of it may be taken. */
  readonly set: TurnSet | '';
  readonly tag: number | undefined;
  /** Its rank in the set. */
  readonly turn: number | undefined;
  readonly weight: number;
  readonly maxRunning: number;
  readonly intervalMs: number;
  /** Its limits yield while nobody else is ready. */
  readonly isSoft: boolean;
  /** When a job of it was taken last; undefined when that is long ago, or without limits. */
  readonly lastStartMs: number | undefined;
  readonly running: readonly RunUnderWay[];
  /** What the first of its waiting jobs are likely to cost. */
  readonly first: readonly Cost[];
  /** In the order in which they were asked for; undefined for one that neither waits nor runs. */
  readonly jobs: readonly (Place | undefined)[];
}
