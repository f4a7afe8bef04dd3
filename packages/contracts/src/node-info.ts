import type { JsonObject, JsonValue } from './json.ts';

/** `[TYPE]`, `[TYPE, options]`, or `[[choices], options]` for a combo. */
export type InputSpec = readonly [type: string | readonly JsonValue[], options?: JsonObject];

/** One entry of /object_info: what a node class takes and gives (field names are ComfyUI's). */
export interface NodeInfo {
  readonly input: {
    readonly required?: Readonly<Record<string, InputSpec>>;
    readonly optional?: Readonly<Record<string, InputSpec>>;
    readonly hidden?: Readonly<Record<string, JsonValue>>;
  };
  readonly input_order?: Readonly<Record<string, readonly string[]>>;
  readonly is_input_list?: boolean;
  readonly output: readonly JsonValue[];
  readonly output_is_list?: readonly boolean[];
  readonly output_name?: readonly string[];
  readonly name: string;
  readonly display_name?: string;
  readonly description?: string;
  readonly python_module?: string;
  readonly category?: string;
  readonly output_node: boolean;
  readonly [key: string]: unknown;
}

/** Node class -> its declaration. */
export type ObjectInfo = Readonly<Record<string, NodeInfo>>;
