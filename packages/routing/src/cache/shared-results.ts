import { DEFAULT_TENANT, listOutputFiles, type NodeMeta, type OutputRef } from '@tiercel/contracts';
import type { AttemptRequest, Backend } from '../backend.ts';
import type { StoredResult, StoredResults, FlightOutcome } from '../router/stored-results.ts';
import { SHARED, type CacheKey } from './cache-key.ts';
import type { CachedJob } from './cached-job.ts';
import { isCacheable } from './is-cacheable.ts';
import type { ResultCache } from './result-cache.ts';

export interface SharedResultsOptions {
  readonly cache: ResultCache;
  /** What each output node shows, as keys by node id: equal keys, equal pictures. Undefined: not to be told. */
  outputKeys(request: AttemptRequest): Promise<OutputKeys | undefined>;
  /**
   * Gives a job what an equal job of another tenant has stored, as files of its own.
   * @returns undefined when it cannot be had
   */
  adopt(
    outputs: CachedJob['outputs'],
    owner: string,
    request: AttemptRequest,
  ): Promise<CachedJob['outputs'] | undefined>;
  /** Bytes of a stored file of a tenant; 0 when it is gone. */
  sizeOf(ref: OutputRef, tenant: string): Promise<number>;
}

export interface OutputKeys {
  readonly keys: CacheKey['outputs'];
  /** Whether an equal job of another tenant may have what this one shows. */
  readonly areShared: boolean;
}

/** Whose results these are; that of DEFAULT_TENANT is from before there were others. */
const scopeOf = (tenant: string): string =>
  tenant === DEFAULT_TENANT ? 'open' : `tenant:${tenant}`;

const RUN_ALONE: FlightOutcome = { kind: 'run', end: () => Promise.resolve() };

/** The result cache as the router uses it: which jobs are equal, and whose turn it is. */
export class SharedResults implements StoredResults {
  readonly #options: SharedResultsOptions;
  /** By analysis, one a job: the keys of a job are the same on every tier. */
  readonly #outputs = new WeakMap<object, Promise<OutputKeys | undefined>>();

  constructor(options: SharedResultsOptions) {
    this.#options = options;
  }

  async find(request: AttemptRequest, backend: Backend): Promise<StoredResult | undefined> {
    const key = await this.#keyOf(request, backend);
    const found = key === undefined ? undefined : await this.#options.cache.find(key);
    return found === undefined ? undefined : await this.#serve(found, request);
  }

  async singleFlight(
    request: AttemptRequest,
    backend: Backend,
    signal: AbortSignal,
  ): Promise<FlightOutcome> {
    const key = await this.#keyOf(request, backend);
    if (key === undefined) return RUN_ALONE;
    const { cache } = this.#options;
    for (;;) {
      const flight = await cache.claim(key);
      if (flight.kind === 'leader') {
        const end = async (stored: StoredResult | undefined) => {
          try {
            if (stored !== undefined) await this.#store(key, backend, stored);
          } finally {
            await flight.done();
          }
        };
        return { kind: 'run', end };
      }
      if ((await flight.wait(signal)) === 'leader_gone') continue;
      const found = await cache.find(key);
      if (found === undefined) continue;
      const stored = await this.#serve(found, request);
      // It is there and cannot be had: this job runs beside it.
      return stored === undefined ? RUN_ALONE : { kind: 'found', stored };
    }
  }

  /** @returns undefined when the files are another tenant's and cannot be copied */
  async #serve(found: CachedJob, request: AttemptRequest): Promise<StoredResult | undefined> {
    const { owner, outputs, report } = found;
    if (owner === undefined) return toStored(found);
    const own = await this.#options.adopt(outputs, owner, request);
    if (own === undefined) return undefined;
    // The words of what was left out name nodes: those of this graph, not of the other's.
    const { obstacles } = request.analysis.lowering;
    const omitted = report.omitted.length === 0 ? [] : obstacles.map(({ reason }) => reason);
    return toStored({ outputs: own, report: { ...report, omitted } });
  }

  async #store(key: CacheKey, backend: Backend, { result, degraded }: StoredResult): Promise<void> {
    const files = Object.values(result.outputs).flatMap(listOutputFiles);
    const sizes = await Promise.all(files.map((ref) => this.#options.sizeOf(ref, key.tenant)));
    const job: CachedJob = {
      outputs: result.outputs,
      report: {
        served_by: { tier: backend.name, driver: backend.driver, model: result.model },
        degraded,
        dropped_params: result.droppedParams,
        changed: result.changedParams ?? [],
        omitted: result.omitted ?? [],
      },
    };
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    await this.#options.cache.store(key, job, { bytes, degraded });
  }

  async #keyOf(request: AttemptRequest, backend: Backend): Promise<CacheKey | undefined> {
    const { analysis } = request;
    const outputs = this.#outputs.get(analysis) ?? this.#readKeys(request);
    this.#outputs.set(analysis, outputs);
    const found = await outputs;
    if (found === undefined) return undefined;
    const { keys, areShared } = found;
    const { name: tier, cacheModel: model = '' } = backend;
    const { tenant } = request;
    const scope = areShared ? SHARED : scopeOf(tenant);
    return { tenant, scope, tier, model, outputs: keys };
  }

  async #readKeys(request: AttemptRequest): Promise<OutputKeys | undefined> {
    const { analysis, cache } = request;
    const { stages } = analysis.lowering;
    const extraData = cache === undefined ? undefined : { cache };
    if (!isCacheable({ stages, extraData })) return undefined;
    return await this.#options.outputKeys(request);
  }
}

function toStored({ outputs, report }: CachedJob): StoredResult {
  const meta = Object.keys(outputs).map((id): [string, NodeMeta] => [
    id,
    { node_id: id, display_node: id, parent_node: null, real_node_id: id },
  ]);
  return {
    degraded: report.degraded,
    result: {
      outputs,
      meta: Object.fromEntries(meta),
      model: report.served_by.model,
      droppedParams: report.dropped_params,
      changedParams: report.changed,
      omitted: report.omitted,
      sketch: report.sketch === true,
    },
  };
}
