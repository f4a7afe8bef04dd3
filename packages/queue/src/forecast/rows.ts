import type { Cost } from './load.ts';

/** A row of a reply: '' for what is not known, -1 for a rank that there is not. */
export type Row = readonly (string | number | undefined)[];

export function numberOf(value: string | number | undefined): number | undefined {
  return value === undefined || value === '' ? undefined : Number(value);
}

export function rankOf(value: string | number | undefined): number | undefined {
  return value === undefined || Number(value) < 0 ? undefined : Number(value);
}

export function parseCost(
  known: string | number | undefined,
  estimate: string | number | undefined,
): Cost {
  return { knownMs: numberOf(known), estimateMs: numberOf(estimate) };
}
