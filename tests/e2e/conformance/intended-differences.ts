import type { JsonValue } from '@tiercel/contracts';

/** Where a difference shows; every part is a full match. */
export interface Place {
  /** Of `<transcript> <METHOD path>` or `<transcript> <socket> <frame type>`. */
  readonly place: RegExp;
  /** Of the path inside the answer or frame. */
  readonly path: RegExp;
  /** What was recorded there; absent: anything. */
  readonly recorded?: JsonValue;
  /** What is there now; absent: anything. */
  readonly actual?: JsonValue;
}

/** Something that Tiercel does otherwise than ComfyUI 0.3.64, on purpose. */
export interface IntendedDifference {
  readonly what: string;
  readonly reason: string;
  readonly places: readonly Place[];
}

export const INTENDED_DIFFERENCES: readonly IntendedDifference[] = [];
