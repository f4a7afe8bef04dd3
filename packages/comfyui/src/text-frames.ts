import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeIdentity,
  plainNode,
} from '@tiercel/contracts';
import { readPythonJson } from './python-json.ts';

/** A text frame. */
export interface ComfyMessage {
  readonly type: string;
  readonly data: JsonValue;
  /** The whole frame as it came; valid JSON, every digit kept. */
  readonly raw: string;
}

/** Reads a text frame; undefined when it is none of ComfyUI's. */
export function readMessage(raw: string): ComfyMessage | undefined {
  try {
    const { value, text } = readPythonJson(raw);
    if (!isJsonObject(value) || typeof value.type !== 'string') return undefined;
    return { type: value.type, data: value.data ?? null, raw: text };
  } catch {
    return undefined; // the caller counts it
  }
}

/** `executing` names the node that runs, or null at the end. */
export function readRunning({ node, display_node: display }: JsonObject): NodeIdentity | undefined {
  if (typeof node !== 'string') return undefined;
  const identity = plainNode(node);
  return typeof display === 'string' ? { ...identity, display_node_id: display } : identity;
}
