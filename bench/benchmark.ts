import type { Figure } from './figures.ts';

export interface BenchmarkContext {
  /** Where services leave CPU profiles; undefined: they are not profiled. */
  readonly profileDir: string | undefined;
  /** How many jobs a run of `fallback` has; undefined: as many as the figures are defined for. */
  readonly jobs: number | undefined;
  /** A line for whoever waits. */
  say(line: string): void;
}

export type Benchmark = (context: BenchmarkContext) => Promise<Figure[]>;

const ROUNDS = 3;

/**
 * Runs the contenders in turns, so that a busy spell of the machine meets all of them.
 * @returns the figures of each contender, one a round
 */
export async function alternate<K extends string>(
  contenders: Readonly<Record<K, () => Promise<number>>>,
  options: { rounds?: number; onFigure: (name: K, value: number) => void },
): Promise<Record<K, number[]>> {
  const names = Object.keys(contenders) as K[]; // Object.keys forgets the keys' type
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    K,
    number[]
  >;
  for (let round = 0; round < (options.rounds ?? ROUNDS); round += 1) {
    for (const name of names) {
      const value = await contenders[name]();
      figures[name].push(value);
      options.onFigure(name, value);
    }
  }
  return figures;
}
