import {
  isJsonObject,
  parseEventLine,
  parseJson,
  type JsonObject,
  type JsonValue,
  type NodeProgress,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';

/** What was emitted to clients of a job before the present run of it. */
export interface EmittedBefore {
  /** Nodes by id, as the last `progress_state` had them. */
  readonly nodes: ReadonlyMap<string, NodeProgress>;
  /** The node of the last `executing`. */
  readonly executing: string | undefined;
  readonly cached: readonly string[] | undefined;
  /** How many result pictures each node has sent. */
  readonly pictures: ReadonlyMap<string, number>;
}

const STATES: readonly unknown[] = ['pending', 'running', 'finished', 'error'];
const PICTURE_SLOT = 'picture ';

export async function readEmitted(
  redis: Redis,
  stateKey: string,
): Promise<EmittedBefore | undefined> {
  const slots = new Map(Object.entries(await redis.hgetall(stateKey)));
  if (slots.size === 0) return undefined;
  const dataOf = (slot: string): JsonObject => {
    const line = slots.get(slot);
    const frame = line === undefined ? null : parseJson(parseEventLine(line).frame);
    const data = isJsonObject(frame) ? frame.data : undefined;
    return isJsonObject(data) ? data : {};
  };
  const { nodes } = dataOf('progress_state');
  const { node } = dataOf('executing');
  const { nodes: cached } = dataOf('execution_cached');
  const pictures = [...slots.keys()].filter((slot) => slot.startsWith(PICTURE_SLOT));
  return {
    nodes: new Map(Object.entries(isJsonObject(nodes) ? nodes : {}).filter(isProgress)),
    executing: typeof node === 'string' ? node : undefined,
    cached: Array.isArray(cached) ? cached.map(String) : undefined,
    pictures: new Map(
      pictures.map((slot) => [
        slot.slice(PICTURE_SLOT.length),
        Number(dataOf(slot).index ?? -1) + 1,
      ]),
    ),
  };
}

/** A ComfyUI server's entries are passed on as it wrote them. */
function isProgress(entry: [string, JsonValue]): entry is [string, JsonValue & NodeProgress] {
  const [, value] = entry;
  if (!isJsonObject(value)) return false;
  return (
    typeof value.value === 'number' && typeof value.max === 'number' && STATES.includes(value.state)
  );
}
