import type { ParamChange } from '@tiercel/contracts';
import { fitSize, formatSize, type Size, type SizeLimits } from './fit-size.ts';
import type { ImageParam } from './image-service.ts';

type ServiceChange = ParamChange & { readonly param: ImageParam };

export interface NumberLimits {
  readonly min: number;
  readonly max: number;
}

type Value = number | bigint | string;

/** Fits the parameters of one request to what a service takes, and remembers what it had to change. */
export class ParamFit {
  readonly #changes = new Map<ImageParam, ServiceChange>();

  get changed(): readonly ServiceChange[] {
    return [...this.#changes.values()];
  }

  /** Notes a change; of several to one parameter (the seeds of a batch) the first. */
  note(param: ImageParam, asked: Value, used: Value): void {
    if (asked === used || this.#changes.has(param)) return;
    this.#changes.set(param, { param, asked: report(asked), used: report(used) });
  }

  number(param: ImageParam, asked: number, { min, max }: NumberLimits): number {
    const used = Math.min(Math.max(asked, min), max);
    this.note(param, asked, used);
    return used;
  }

  size(asked: Size, limits: SizeLimits): Size {
    const used = fitSize(asked, limits);
    this.note('size', formatSize(asked), formatSize(used));
    return used;
  }

  /**
   * The seed of one picture of a batch: `seed + index`, wrapped around below `end` (2^32 + 5 becomes 5
   * where `end` is 2^32), so that equal requests stay equal.
   */
  seed(seed: number | bigint, index: number, end: bigint): number | bigint {
    const asked = BigInt(seed) + BigInt(index);
    const used = ((asked % end) + end) % end;
    this.note('seed', asked, used);
    return plain(used);
  }
}

function report(value: Value): number | string {
  const shown = typeof value === 'bigint' ? plain(value) : value;
  return typeof shown === 'bigint' ? String(shown) : shown;
}

/** A number where that is exact. */
function plain(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
