import { setTimeout as sleep } from 'node:timers/promises';
import type { RenderJob } from './automatic1111-fields.ts';
import { paintOne } from './automatic1111-info.ts';
import type { Work } from './wire.ts';

/** A job and how it is made. */
export interface Render {
  readonly job: RenderJob;
  readonly renderMs: number;
  readonly paint: Work['paint'];
}

interface Running extends Render {
  readonly startedAtMs: number;
  readonly stopped: AbortController;
  flag: 'none' | 'interrupted' | 'skipped';
}

const PREVIEW_SIDE = 64;
/** What progress shows as soon as a job runs. */
const FIRST_PROGRESS = 0.01;

/** One job at a time; the others wait for the lock in the order they came. */
export class RenderQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #running: Running | undefined;

  /** Makes the job when its turn comes, for `renderMs` or until it is stopped. */
  async run<T>(render: Render, finish: () => T): Promise<T> {
    const turn = this.#tail.then(async () => {
      const running: Running = {
        ...render,
        ...{ startedAtMs: performance.now(), stopped: new AbortController(), flag: 'none' },
      };
      this.#running = running;
      try {
        const { signal } = running.stopped;
        // Not a reason for the process to stay: the server may be stopped meanwhile.
        await sleep(render.renderMs, undefined, { signal, ref: false }).catch(() => undefined);
        return finish();
      } finally {
        this.#running = undefined;
      }
    });
    this.#tail = turn.catch(() => undefined);
    return await turn;
  }

  /** The present job ends with what it has; without one nothing happens. */
  stop(flag: 'interrupted' | 'skipped'): void {
    if (this.#running === undefined) return;
    this.#running.flag = flag;
    this.#running.stopped.abort();
  }

  /** GET /sdapi/v1/progress. Nobody can tell from it whose job runs. */
  describe(skipsImage: boolean): object {
    const running = this.#running;
    const [flag, steps] = [running?.flag ?? 'none', running?.job.steps ?? 0];
    const { share, elapsedMs } = measure(running);
    const step = Math.min(steps, Math.floor(share * steps));
    const progress = running === undefined ? 0 : Math.min(1, FIRST_PROGRESS + step / steps);
    const etaMs = share === 0 ? 0 : elapsedMs / share - elapsedMs;
    const hasImage = running !== undefined && step > 0 && !skipsImage;
    return {
      progress,
      eta_relative: etaMs / 1000,
      state: {
        ...{ skipped: flag === 'skipped', interrupted: flag === 'interrupted' },
        ...{ stopping_generation: false, job: running === undefined ? '' : 'scripts_txt2img' },
        ...{ job_count: running?.job.batches ?? 0, job_timestamp: '20261121120000', job_no: 0 },
        ...{ sampling_step: step, sampling_steps: steps },
      },
      current_image: hasImage ? paintPreview(running, step) : null,
      textinfo: null,
    };
  }
}

function measure(running: Running | undefined): { share: number; elapsedMs: number } {
  if (running === undefined) return { share: 0, elapsedMs: 0 };
  const elapsedMs = performance.now() - running.startedAtMs;
  return {
    share: running.renderMs === 0 ? 1 : Math.min(1, elapsedMs / running.renderMs),
    elapsedMs,
  };
}

/** Small, and another one at each step. */
function paintPreview({ job, paint }: Running, step: number): string {
  const small = { ...job, width: PREVIEW_SIDE, height: PREVIEW_SIDE };
  return paintOne(small, step, paint).toString('base64');
}
