import type { Caller } from '@tiercel/contracts';
import type { Estimate, EstimateErrors, Forecaster, JobView } from '@tiercel/queue';
import type { Request } from 'express';
import { readQuery } from './http/read-request.ts';

type Estimates = ReadonlyMap<string, Estimate>;

const NONE: Estimates = new Map();

/** Where waiting jobs stand and when they are expected to start and end, for those who are told. */
export class JobEstimates {
  readonly #forecaster: Forecaster;
  readonly #errors: EstimateErrors;
  readonly #isAlwaysTold: boolean;

  constructor(dependencies: {
    forecaster: Forecaster;
    errors: EstimateErrors;
    /** False: only who asks is told, and the answers of others stay what they were before there were estimates. */
    isAlwaysTold: boolean;
  }) {
    this.#forecaster = dependencies.forecaster;
    this.#errors = dependencies.errors;
    this.#isAlwaysTold = dependencies.isAlwaysTold;
  }

  /** Whether a request is to be answered with estimates. */
  isWanted(req: Request): boolean {
    if (this.#isAlwaysTold) return true;
    const asked = readQuery(req).get('estimates');
    return asked === '1' || asked === 'true';
  }

  /** Of those of a tenant's jobs that wait or run. */
  async of(
    jobs: readonly Pick<JobView, 'id' | 'state'>[],
    tenant: Caller['tenant'],
  ): Promise<Estimates> {
    const open = jobs.filter(({ state }) => state === 'pending' || state === 'running');
    if (open.length === 0) return NONE;
    const found = await this.#forecaster.estimate(
      open.map(({ id }) => id),
      tenant,
    );
    this.#errors.note(found, tenant);
    return found;
  }
}
