import type { Logger } from '@tiercel/runtime';
import type { TenantFiles } from '@tiercel/storage';

const HOUR_MS = 3_600_000;
/** Preview pictures live this long; ComfyUI drops them at every start. */
const MAX_AGE_MS = 24 * HOUR_MS;

/** Removes old files of the temp folder, at the start and every hour. */
export class TempCleaner {
  readonly #files: Pick<TenantFiles, 'purgeTemp'>;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #cleaning: Promise<void> = Promise.resolve();

  constructor(files: Pick<TenantFiles, 'purgeTemp'>, log: Logger) {
    this.#files = files;
    this.#log = log;
  }

  start(): void {
    this.#clean();
    this.#timer = setInterval(() => {
      this.#clean();
    }, HOUR_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#cleaning;
  }

  #clean(): void {
    this.#cleaning = this.#files.purgeTemp(MAX_AGE_MS).then(
      (removed) => {
        if (removed > 0) this.#log.info({ removed }, 'old preview files removed');
      },
      (error: unknown) => {
        this.#log.warn({ err: error }, 'temp folder not cleaned');
      },
    );
  }
}
