import type { Plan } from '@tiercel/runtime';

type Limits = Omit<Plan, 'weight' | 'soft' | 'order' | 'preempts' | 'preemptible' | 'budget'>;

/** A plan as it counts for one tenant: what has no value has no limit. */
export type EffectivePlan = {
  readonly [Name in keyof Limits]?: NonNullable<Limits[Name]>;
} & Required<Readonly<Pick<Plan, 'weight' | 'soft' | 'order' | 'preempts' | 'preemptible'>>> & {
    readonly budget: { readonly day?: number; readonly month?: number };
  };

const NOTHING_SAID = {
  weight: 1,
  soft: false,
  order: 'arrival',
  preempts: false,
  preemptible: false,
} as const;

/** Puts layers together, the last word counting: null is no limit. */
export function resolvePlan(layers: readonly Plan[]): EffectivePlan {
  const { budget = {}, ...merged } = mergeSettings(layers);
  const said = Object.entries({ ...NOTHING_SAID, ...merged }).filter(isSaid);
  // What is null or undefined is gone, and what must be there has a value in NOTHING_SAID.
  return {
    ...Object.fromEntries(said),
    budget: Object.fromEntries(Object.entries(budget).filter(isSaid)),
  } as EffectivePlan;
}

/** One setting of several: each field as the last one says that has it, also inside of a `budget`. */
export function mergeSettings<Setting extends object>(layers: readonly Setting[]): Setting {
  const merged = new Map<string, unknown>();
  for (const [name, value] of layers.flatMap((layer) => Object.entries(layer).filter(isGiven))) {
    const inner = [merged.get(name), value].filter(isObject);
    merged.set(name, inner.length === 2 ? mergeSettings(inner) : value);
  }
  // Fields of layers of the same kind, each with a value that one of them has.
  return Object.fromEntries(merged) as Setting;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isGiven([, value]: readonly [string, unknown]): boolean {
  return value !== undefined;
}

function isSaid([, value]: readonly [string, unknown]): boolean {
  return value !== undefined && value !== null;
}
