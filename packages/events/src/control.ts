import {
  isJsonObject,
  parseJson,
  type JsonValue,
  type RefreshScope,
  type RedisNames,
} from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';

/**
 * An order that every worker receives.
 * free: unload models; `body` is the text of POST /free, a JSON object, passed on to backends as it is.
 * preempt: hand the job back that runs under this claim.
 * look: read again what your servers offer, then send a heartbeat with this id among its `looks`.
 * overload: an API takes so many steps because of overload; said every 2 s while it is not 0.
 */
export type ControlMessage =
  | { readonly type: 'free'; readonly body: string }
  | { readonly type: 'preempt'; readonly claim: string }
  | { readonly type: 'look'; readonly id: string; readonly wish: RefreshScope }
  | { readonly type: 'overload'; readonly process: string; readonly level: number };

/** Sends an order to the workers that listen now; one that starts later does not get it. */
export async function publishControl(
  redis: Redis,
  names: RedisNames,
  message: ControlMessage,
): Promise<void> {
  await redis.publish(names.controlChannel, JSON.stringify(message));
}

/** `undefined` for what is no order of this version. */
export function parseControl(text: string): ControlMessage | undefined {
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value)) return undefined;
  const { type, body, id, wish, process, level, claim } = value;
  if (type === 'free' && typeof body === 'string') return { type, body };
  if (type === 'preempt' && typeof claim === 'string') return { type, claim };
  if (type === 'overload' && typeof process === 'string' && typeof level === 'number') {
    return { type, process, level };
  }
  if (type !== 'look' || typeof id !== 'string') return undefined;
  return wish === 'all' || wish === 'files' || isTexts(wish) ? { type, id, wish } : undefined;
}

function isTexts(value: JsonValue | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item: JsonValue) => typeof item === 'string');
}
