import { createHash } from 'node:crypto';

/** Troubles that each vendor tells in its own words; see the class table of docs on fallback. */
export const REFUSALS = [
  'unauthorized',
  'forbidden',
  'model_gone',
  /** 400 or 422 about the model, or what stands for it. */
  'unknown_model',
  /** 400 that does not say what is wrong. */
  'invalid_request',
  /** 400 or 422 that names the prompt. */
  'invalid_prompt',
  'safety',
  'quota',
  'rate',
  /** Too many at once: told in other words than `rate`, and without Retry-After. */
  'queue_full',
  'capacity',
  'out_of_memory',
  'error',
] as const;

/** Troubles that look alike at every vendor: of the connection, and of what it carries. */
const BREAKAGES = [
  /** 500, when the request named a seed. */
  'error_with_seed',
  /** 503 and a page in HTML, as a proxy in front answers. */
  'unavailable',
  /** 403 and a page in HTML, as a firewall in front answers. */
  'blocked',
  /** 413 and a page in HTML, as a proxy in front answers to what it will not pass on. */
  'too_large',
  /** 302 to a login page. */
  'redirect',
  /** 200, and in it what `rate` answers. */
  'rate_in_200',
  /** No answer until the client goes. */
  'hang',
  /** The picture, `ms` later than usual. */
  'slow',
  /** The connection ends before an answer. */
  'reset',
  /** Half of the answer, then the connection ends. */
  'cut',
  /** 200 and no bytes. */
  'empty',
  /** 200 and plain text. */
  'text',
  /** A good answer with the first half of the picture's file. */
  'truncated_image',
  'black_image',
  /** Half the size that was asked for. */
  'wrong_size',
  /** One picture fewer than asked for; where an answer is one picture, none (as `empty`). */
  'wrong_count',
] as const;

export type Refusal = (typeof REFUSALS)[number];
export type FakeFaultName = Refusal | (typeof BREAKAGES)[number];

export const FAKE_FAULTS: readonly FakeFaultName[] = [...REFUSALS, ...BREAKAGES];

/** What is wrong with a service, and how often. JSON-safe, so that it crosses processes. */
export interface FakeFault {
  readonly name: FakeFaultName;
  /** Share of the requests for pictures that meet it, 0..1; default 1. */
  readonly rate?: number;
  /** Of `slow`: how much later; default 1000. */
  readonly ms?: number;
  /** After that many it is over; default: never. */
  readonly times?: number;
  /** Of the pseudo-random choice by `rate`: equal seeds choose equally; default 0. */
  readonly seed?: number;
}

const DEFAULT_SLOW_MS = 1000;

/** Decides for each request for pictures whether it meets the fault. */
export class FaultSwitch {
  #fault: FakeFault | undefined;
  #asked = 0;
  #met = 0;

  get fault(): FakeFault | undefined {
    return this.#fault;
  }

  /** How many requests met the present fault. */
  get met(): number {
    return this.#met;
  }

  set(fault: FakeFault | undefined): void {
    this.#fault = fault;
    this.#asked = 0;
    this.#met = 0;
  }

  take(request: { readonly hasSeed: boolean }): FakeFaultName | undefined {
    const fault = this.#fault;
    if (fault === undefined || this.#met >= (fault.times ?? Infinity)) return undefined;
    if (fault.name === 'error_with_seed' && !request.hasSeed) return undefined;
    this.#asked += 1;
    if (drawShare(fault.seed ?? 0, this.#asked) >= (fault.rate ?? 1)) return undefined;
    this.#met += 1;
    return fault.name;
  }

  /** What `slow` adds. */
  get slowMs(): number {
    return this.#fault?.ms ?? DEFAULT_SLOW_MS;
  }
}

/** The n-th number of a seeded pseudo-random sequence, 0..1. */
function drawShare(seed: number, n: number): number {
  return createHash('sha256').update(`${seed} ${n}`).digest().readUInt32BE() / 2 ** 32;
}

export function isFaultName(value: unknown): value is FakeFaultName {
  return FAKE_FAULTS.some((name) => name === value);
}
