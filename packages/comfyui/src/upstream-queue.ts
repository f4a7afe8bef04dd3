import type { JsonObject, JsonValue } from '@tiercel/contracts';

/** Ids of the prompts on a server. */
export interface UpstreamQueue {
  readonly running: readonly string[];
  /** In the order they will run. */
  readonly pending: readonly string[];
}

/** The body of GET /queue; undefined when it is none. */
export function readUpstreamQueue(body: JsonObject): UpstreamQueue | undefined {
  const { queue_running: running, queue_pending: pending } = body;
  if (!Array.isArray(running) || !Array.isArray(pending)) return undefined;
  return { running: idsInOrder(running), pending: idsInOrder(pending) };
}

/** `[number, id, ...]` each. ComfyUI shows its heap, which is not sorted (wire 7.2). */
function idsInOrder(items: readonly JsonValue[]): string[] {
  const entries = items.flatMap((item) => {
    const [number, id] = Array.isArray(item) ? (item as readonly JsonValue[]) : [];
    return typeof id === 'string' ? [{ number: Number(number), id }] : [];
  });
  return entries.sort((a, b) => a.number - b.number || (a.id < b.id ? -1 : 1)).map(({ id }) => id);
}
