import type { JsonObject, JsonValue, PromptGraph, UiOutput } from '@tiercel/contracts';
import type { FakeFiles } from './files.ts';
import type { FakeSettings } from './options.ts';
import type { Picture } from './pictures.ts';

/** What travels along a link. */
export type NodeValue =
  | JsonValue
  | ImageValue
  | {
      readonly kind: 'latent';
      readonly width: number;
      readonly height: number;
      readonly batch: number;
      readonly seed: string;
    }
  | { readonly kind: 'file'; readonly name: string; readonly bytes: Buffer }
  | { readonly kind: 'opaque'; readonly type: string; readonly name: string }
  /** ComfyUI's ExecutionBlocker: whatever gets it does not run; a message is told once. */
  | { readonly kind: 'blocked'; readonly message: string | null };

export interface ImageValue {
  readonly kind: 'image';
  readonly pictures: readonly Picture[];
}

export type NodeInputs = Readonly<Record<string, NodeValue | undefined>>;

export interface NodeContext {
  readonly nodeId: string;
  readonly promptId: string;
  readonly prompt: PromptGraph;
  readonly extraData: JsonObject;
  readonly files: FakeFiles;
  readonly settings: FakeSettings;
  /** Nothing wakes it, as Python's time.sleep. */
  sleep(ms: number): Promise<void>;
  /** Goes on unless the run was interrupted (or the server paused). @throws when it was */
  checkpoint(): Promise<void>;
  /** One step of the node is done. Checks for an interrupt before it tells anyone, as ComfyUI's hook. */
  progress(value: number, max: number, preview?: Buffer): Promise<void>;
  /** Binary event 3, which ComfyUI sends to everyone. */
  sendText(text: string): void;
  /** A message of an extension. */
  sendMessage(type: string, data: JsonValue, to: 'all' | 'client'): void;
  /** Whether the checkpoint was loaded already; it is now. */
  useCheckpoint(name: string): boolean;
}

export interface NodeResult {
  readonly outputs?: readonly NodeValue[];
  /** What `executed` and history show. */
  readonly ui?: UiOutput;
}

export type RunNode = (
  inputs: NodeInputs,
  context: NodeContext,
) => NodeResult | Promise<NodeResult>;

/** What a node raises: becomes an `execution_error`. */
export class NodeFailure extends Error {
  /** Python's name of the class, dotted unless it is built in. */
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

export function readNumber(value: NodeValue | undefined, fallback = 0): number {
  return value === undefined || typeof value === 'object' ? fallback : Number(value);
}

export function readText(value: NodeValue | undefined, fallback = ''): string {
  return value === undefined || typeof value === 'object' ? fallback : String(value);
}

/** @throws NodeFailure AttributeError when something else is linked there */
export function readKind<K extends 'image' | 'latent' | 'file'>(
  value: NodeValue | undefined,
  kind: K,
): Extract<NodeValue, { kind: K }> {
  if (isOfKind(value, kind)) return value;
  throw new NodeFailure('AttributeError', `no ${kind} was given`);
}

export function isOfKind<K extends 'image' | 'latent' | 'file' | 'blocked'>(
  value: NodeValue | undefined,
  kind: K,
): value is Extract<NodeValue, { kind: K }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}
