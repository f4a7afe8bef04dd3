import type { FaultSwitch } from './faults.ts';
import type { ServiceLog } from './service-log.ts';
import type { FakeVendor } from './wire.ts';

/** What is behind a service's port. */
export interface ServiceWorld {
  readonly vendor: FakeVendor;
  readonly faults: FaultSwitch;
  readonly log: ServiceLog;
  latencyMs: number;
}
