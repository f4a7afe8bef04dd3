/** What a tenant may, as far as the order of jobs depends on it. Undefined: not limited. */
export interface TenantLimits {
  /** The plan that they come from, so that they can be found anew when it changes. */
  readonly plan?: string | undefined;
  /** Only the weight counts, whatever the plan says. */
  readonly isUnlimited?: boolean | undefined;
  /** Its share of the workers beside the others'; more than 0. */
  readonly weight: number;
  /** Jobs that may run at once. */
  readonly maxRunning?: number | undefined;
  /** Time between the starts of two jobs. */
  readonly intervalMs?: number | undefined;
  /** The two limits yield while nobody else has work. */
  readonly soft?: boolean | undefined;
  /** short-first: of the first jobs the one that is expected to cost least. */
  readonly order?: 'arrival' | 'short-first' | undefined;
  /** Its jobs may take the place of running ones of tenants that are `isPreemptible`. */
  readonly preempts?: boolean | undefined;
  readonly isPreemptible?: boolean | undefined;
}

/** The fields of the tenant's record in Redis, as JSON; the same limits give the same text. */
export function limitsText(limits: TenantLimits): string {
  const { plan, isUnlimited, weight, maxRunning, intervalMs, soft, order } = limits;
  const { preempts, isPreemptible } = limits;
  if (!(weight > 0)) throw new RangeError(`the weight of a tenant must be more than 0: ${weight}`);
  return JSON.stringify({
    plan,
    unlimited: isUnlimited === true ? '1' : undefined,
    weight,
    max_running: maxRunning,
    interval_ms: intervalMs,
    soft: soft === true ? '1' : undefined,
    order: order === 'short-first' ? order : undefined,
    preempts: preempts === true ? '1' : undefined,
    preemptible: isPreemptible === true ? '1' : undefined,
  });
}
