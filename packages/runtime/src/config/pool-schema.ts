import { DEFAULT_POOL } from '@tiercel/contracts';
import { z } from 'zod';
import { duration, LONGEST_JOB_MS, shortName } from './value-kinds.ts';

/** Null is no rule, also where the file has one. */
const patterns = () => z.array(z.string().min(1)).min(1).nullable().optional();

/** Which jobs the workers of a pool take; what is not named is not asked for. */
export const poolSchema = z.strictObject({
  plans: z
    .array(shortName)
    .min(1)
    .nullable()
    .optional()
    .describe(
      'The plans whose jobs its workers run, those of the first-named before all others; without it all plans alike',
    ),
  nodes: patterns().describe(
    'Only graphs with one of these node classes at least; `*` stands for any text',
  ),
  models: patterns().describe(
    'Only graphs that name one of these model files at least; `*` stands for any text',
  ),
  tiers: z
    .array(shortName)
    .min(1)
    .nullable()
    .optional()
    .describe('The entries of `tiers` that its workers use; without it all of them'),
  maxCostMs: duration(LONGEST_JOB_MS)
    .nullable()
    .optional()
    .describe('Only jobs that are expected to run no longer than this'),
});

export const poolsSchema = z
  .record(shortName, poolSchema)
  .default({})
  .describe(
    'Pools of workers by name: which jobs they take. A worker is in the one that `worker.pool` names',
  );

interface FilePart {
  readonly tiers: readonly { readonly name: string }[];
  readonly pools: Readonly<Record<string, z.infer<typeof poolSchema>>>;
  readonly worker: { readonly pool: string };
}

/** What a file says of pools that cannot be meant. */
export function findPoolProblems({
  tiers,
  pools,
  worker,
}: FilePart): { readonly path: readonly string[]; readonly message: string }[] {
  const problems = Object.entries(pools).flatMap(([name, pool]) =>
    (pool.tiers ?? [])
      .filter((tier) => !tiers.some((known) => known.name === tier))
      .map((tier) => ({
        path: ['pools', name, 'tiers'],
        message: `names the tier ${tier}, which \`tiers\` does not have`,
      })),
  );
  if (worker.pool === DEFAULT_POOL || Object.hasOwn(pools, worker.pool)) return problems;
  const message = `names the pool ${worker.pool}, which \`pools\` does not have`;
  return [...problems, { path: ['worker', 'pool'], message }];
}
