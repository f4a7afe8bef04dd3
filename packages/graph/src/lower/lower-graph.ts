import type { PromptGraph } from '@tiercel/contracts';
import type { Lowering } from './lowering.ts';
export function lowerGraph(_graph: PromptGraph, _outputIds: readonly string[]): Lowering {
  return { stages: [], descriptive: new Set(), passThrough: new Map(), obstacles: [] };
}
