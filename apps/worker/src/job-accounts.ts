import {
  listOutputFiles,
  type JobResult,
  type OutputRef,
  type RedisNames,
  type ServiceReport,
} from '@tiercel/contracts';
import { readHeader } from '@tiercel/pictures';
import type { JobUsage, TakenJob } from '@tiercel/queue';
import {
  expectFromOutputs,
  expectFromService,
  JobSpending,
  type AttemptRequest,
  type Pictures,
  type TenantBudget,
} from '@tiercel/routing';
import type { Config, Redis } from '@tiercel/runtime';
import type { TenantFiles } from '@tiercel/storage';

export interface JobAccountsParts {
  readonly redis: Redis;
  readonly names: RedisNames;
  readonly files: TenantFiles;
  readonly config: Pick<Config, 'tiers' | 'usage'>;
}

/** How the pictures of tiers count, those of image services apart. */
const COUNTS: Readonly<Record<string, 'made' | 'shown'>> = { embedded: 'made', comfyui: 'shown' };
/** Whatever their size, pictures count. */
const NO_LIMIT = { maxPixels: Number.MAX_SAFE_INTEGER, setting: '' };

/** What jobs use of the tiers, and what that costs their tenants. */
export class JobAccounts {
  readonly #parts: JobAccountsParts;

  constructor(parts: JobAccountsParts) {
    this.#parts = parts;
  }

  /** For one run of a job. */
  open(
    { id: jobId, claimId }: TakenJob,
    request: AttemptRequest,
    { budget, onVoid }: { readonly budget: () => TenantBudget; readonly onVoid: () => void },
  ): JobSpending {
    const { redis, names, config } = this.#parts;
    const fromService = once(() => expectFromService(request.analysis));
    const fromOutputs = once(() => expectFromOutputs(request.analysis, request.outputIds));
    const tierOf: ConstructorParameters<typeof JobSpending>[0]['tierOf'] = (name) => {
      const tier = config.tiers.find((candidate) => candidate.name === name);
      // The worker's own tier beside image services is not in the file.
      const counts = COUNTS[tier?.driver ?? 'embedded'] ?? 'asked';
      return { price: tier?.price, expect: counts === 'asked' ? fromService : fromOutputs, counts };
    };
    return new JobSpending({ redis, names, jobId, claimId, budget, tierOf, onVoid });
  }

  /** What an ended job has used. @param spending undefined when no tier was looked for */
  async describe(
    tenant: string,
    { report, outputs }: Pick<JobResult, 'report' | 'outputs'>,
    spending: JobSpending | undefined,
  ): Promise<JobUsage> {
    const shown = spending?.isUncounted === true ? await this.#measure(tenant, outputs) : undefined;
    const uses = spending?.settle(shown) ?? [];
    return { tier: findTier(report), uses, keptDays: this.#parts.config.usage.keptDays };
  }

  async #measure(tenant: string, outputs: JobResult['outputs']): Promise<Pictures> {
    const files = new Map(
      Object.values(outputs)
        .flatMap(listOutputFiles)
        .map((file) => [`${file.type}/${file.subfolder}/${file.filename}`, file]),
    );
    const sizes = await Promise.all(
      [...files.values()].map((file) => this.#readPixels(tenant, file)),
    );
    const known = sizes.filter((pixels) => pixels !== undefined);
    return { images: known.length, pixels: known.reduce((sum, pixels) => sum + pixels, 0) };
  }

  /** Undefined for what is no picture, or is gone. */
  async #readPixels(tenant: string, file: OutputRef): Promise<number | undefined> {
    try {
      const found = await this.#parts.files.of(tenant).find(file);
      if (found === null) return undefined;
      const source = { name: file.filename, content: found.path };
      const { width, height } = await readHeader(source, NO_LIMIT, 'first');
      return width * height;
    } catch {
      return undefined;
    }
  }
}

function findTier({ served_by, attempts }: ServiceReport): string | undefined {
  return served_by?.tier ?? attempts.at(-1)?.tier;
}

function once<T>(work: () => T): () => T {
  let done: { readonly result: T } | undefined;
  return () => (done ??= { result: work() }).result;
}
