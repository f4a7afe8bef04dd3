import { empty, json, text, type Answer } from '../fake-comfyui/answer.ts';
import { FAKE_FAULTS, isFaultName, type FakeFault } from './faults.ts';
import type { ServiceCounts, ServiceWorld } from './service-log.ts';
import { fieldsOf, type WireRequest } from './wire.ts';

export const CONTROL_PATH = '/__control';

export interface FakeServiceState {
  readonly vendor: string;
  readonly fault: FakeFault | null;
  readonly latencyMs: number;
  /** `faults`: how many requests met the present fault. */
  readonly counts: ServiceCounts & { readonly faults: number };
}

/**
 * What PUT /__control takes. A named fault starts anew, with the defaults of what is not given; without
 * a name the present fault changes in what is given; `null` ends it.
 */
export interface FakeServiceOrder extends Partial<Omit<FakeFault, 'name'>> {
  readonly fault?: FakeFault['name'] | null;
  readonly latencyMs?: number;
}

const NUMBERS = ['rate', 'ms', 'times', 'seed', 'latencyMs'] as const;

/** Lets other processes see and change a service. */
export function answerControl(
  world: ServiceWorld,
  request: WireRequest,
  describe: () => FakeServiceState,
): Answer {
  if (request.method === 'PUT') {
    const order = readOrder(request);
    if (typeof order === 'string') return text(400, order);
    apply(world, order);
  } else if (request.method !== 'GET') {
    return empty(405);
  }
  return json(describe());
}

/** @returns the order, or what is wrong with it */
function readOrder(request: WireRequest): FakeServiceOrder | string {
  const fields = fieldsOf(request.body);
  if (request.body !== fields) return 'the body must be a JSON object';
  const { fault, ...numbers } = fields;
  if (fault !== undefined && fault !== null && !isFaultName(fault)) {
    return `fault must be null or one of ${FAKE_FAULTS.join(', ')}`;
  }
  for (const [key, value] of Object.entries(numbers)) {
    if (!NUMBERS.some((name) => name === key)) return `unknown key ${key}`;
    if (typeof value !== 'number') return `${key} must be a number`;
  }
  return fields;
}

function apply(world: ServiceWorld, { fault, latencyMs, ...how }: FakeServiceOrder): void {
  if (latencyMs !== undefined) world.latencyMs = latencyMs;
  if (fault === null) world.faults.set(undefined);
  else if (fault !== undefined) world.faults.set({ name: fault, ...how });
  else if (world.faults.fault !== undefined && Object.keys(how).length > 0) {
    world.faults.set({ ...world.faults.fault, ...how });
  }
}
