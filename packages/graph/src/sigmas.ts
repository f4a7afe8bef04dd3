/** Steps `from` to `to` of a schedule of `steps` steps that begins at `denoise` of the whole noise. */
export interface Sigmas {
  readonly kind: 'sigmas';
  /** ComfyUI's name; undefined when it has none. */
  readonly scheduler: string | undefined;
  readonly steps: number;
  readonly denoise: number;
  readonly from: number;
  readonly to: number;
}

/** SDTurboScheduler cuts its steps out of a schedule of so many. */
const SD_TURBO_STEPS = 10;

/** A schedule of which all `steps` are run; what a denoise below 1 leaves out comes before them. */
export function createSigmas(
  scheduler: string | undefined,
  steps: number,
  denoise: number,
): Sigmas {
  const to = denoise > 0 ? Math.max(0, Math.floor(steps)) : 0;
  return { kind: 'sigmas', scheduler, steps: to, denoise: Math.min(1, denoise), from: 0, to };
}

/** The last part of a schedule of `steps` steps: with denoise 0.5 half of them are run. */
export function createCutSigmas(scheduler: string, steps: number, denoise: number): Sigmas {
  return createSigmas(scheduler, Math.round(steps * Math.min(1, denoise)), denoise);
}

/** As SDTurboScheduler makes it. */
export function createTurboSigmas(steps: number, denoise: number): Sigmas {
  return createSigmas('sd_turbo', Math.min(steps, Math.trunc(SD_TURBO_STEPS * denoise)), denoise);
}

/** A schedule written by hand (ManualSigmas): one step from each number to the next. */
export function parseSigmas(text: string): Sigmas {
  const count = text.match(/[-+]?(?:\d*\.?\d+)/g)?.length ?? 0;
  return createSigmas(undefined, Math.max(0, count - 1), 1);
}

/** Up to a step, and from it on. */
export function splitSigmas(sigmas: Sigmas, step: number): readonly [high: Sigmas, low: Sigmas] {
  const at = Math.min(sigmas.to, Math.max(sigmas.from, sigmas.from + step));
  return [
    { ...sigmas, to: at },
    { ...sigmas, from: at },
  ];
}

/** So that the second part is a share of the steps. */
export function splitSigmasByDenoise(
  sigmas: Sigmas,
  denoise: number,
): readonly [high: Sigmas, low: Sigmas] {
  const steps = sigmas.to - sigmas.from;
  return splitSigmas(sigmas, steps - Math.round(steps * denoise));
}

/** What a sampler does with them. */
export function summariseSigmas({ scheduler, steps, denoise, from, to }: Sigmas): {
  readonly scheduler: string | undefined;
  /** That are run. */
  readonly steps: number;
  /** Of the whole noise: 1 starts from noise alone. */
  readonly denoise: number;
  /** Ends before the schedule does. */
  readonly leavesNoise: boolean;
} {
  const share = steps > 0 ? (steps - from) / steps : 0;
  return { scheduler, steps: to - from, denoise: denoise * share, leavesNoise: to < steps };
}
