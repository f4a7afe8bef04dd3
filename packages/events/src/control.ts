import { isJsonObject, parseJson, type JsonValue, type RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';

/**
 * An order that every worker hears. free: unload models; `body` is the text of POST /free, a JSON
 * object, passed on to backends as it is.
 */
export interface ControlMessage {
  readonly type: 'free';
  readonly body: string;
}

/** Sends an order to the workers that listen now; one that starts later does not hear it. */
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
  if (!isJsonObject(value) || value.type !== 'free' || typeof value.body !== 'string') {
    return undefined;
  }
  return { type: 'free', body: value.body };
}
