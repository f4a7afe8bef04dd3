/** Which permits are to be added for tenants whose limits lift, as `lua/includes/wake.lua` tells it. */
export interface Wake {
  /** To add now. */
  readonly permits: number;
  /** When the next limit lifts; undefined when none does by itself. */
  readonly next: { readonly atMs: number; readonly inMs: number } | undefined;
}

const NOBODY: Wake = { permits: 0, next: undefined };

export function parseWake(reply: readonly unknown[]): Wake {
  const [permits, at, delay] = reply as [number?, string?, string?];
  if (permits === undefined) return NOBODY;
  const next =
    at === undefined || at === '' ? undefined : { atMs: Number(at), inMs: Number(delay) };
  return { permits, next };
}
