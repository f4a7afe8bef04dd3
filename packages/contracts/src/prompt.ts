import type { JsonObject, JsonValue } from './json.ts';

/** One node of a prompt in ComfyUI's API format. */
export interface PromptNode {
  readonly class_type: string;
  readonly inputs: JsonObject;
  readonly _meta?: JsonObject;
}

/** The user's graph: node id -> node. */
export type PromptGraph = Readonly<Record<string, PromptNode>>;

/**
 * Whether an input value is a link. ComfyUI takes any list of length 2 for one
 * (`is_link`: string id and numeric slot); other lists are values.
 */
export function isLink(value: JsonValue | undefined): value is [string, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    typeof value[1] === 'number'
  );
}

/** `{type, message, details, extra_info}` as ComfyUI answers under `error` and in `node_errors`. */
export interface PromptError {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  readonly extra_info: Readonly<Record<string, unknown>>;
}

export interface NodeErrors {
  readonly errors: readonly PromptError[];
  readonly dependent_outputs: readonly string[];
  readonly class_type: string;
}

/** The body of a 400 from POST /prompt. */
export interface PromptRejection {
  readonly error: PromptError;
  readonly node_errors: Readonly<Record<string, NodeErrors>>;
}

/** Members of extra_data that are the caller's credentials (ComfyUI 0.24 strips the same two). */
export const SECRET_MEMBERS = ['auth_token_comfy_org', 'api_key_comfy_org'] as const;
