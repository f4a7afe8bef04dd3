import { unwatchFile, watchFile } from 'node:fs';
import type { Backends } from './create-backends.ts';
import { loadConfig, type Config, type Logger } from '@tiercel/runtime';

const LOOK_EVERY_MS = 2_000;

/**
 * Adds and removes servers of pools when the configuration file changes. Everything else in it takes a
 * restart; a file with problems changes nothing and is told of.
 */
export class ConfigWatcher {
  readonly #file: string;
  readonly #pools: Backends['pools'];
  readonly #log: Logger;

  constructor(config: Config, pools: Backends['pools'], log: Logger) {
    this.#file = config.configFile;
    this.#pools = pools;
    this.#log = log;
  }

  start(): void {
    if (this.#pools.length === 0) return;
    watchFile(this.#file, { interval: LOOK_EVERY_MS, persistent: false }, () => {
      this.#apply();
    });
  }

  stop(): void {
    unwatchFile(this.#file);
  }

  #apply(): void {
    let tiers: Config['tiers'];
    try {
      ({ tiers } = loadConfig());
    } catch (error) {
      this.#log.warn({ err: error }, 'the changed configuration has problems: nothing is changed');
      return;
    }
    for (const pool of this.#pools) {
      const tier = tiers.find(({ name, driver }) => name === pool.name && driver === pool.driver);
      if (tier === undefined) continue;
      pool.setServers(tier.urls);
      this.#log.info({ tier: pool.name, servers: tier.urls.length }, 'servers of the pool are set');
    }
  }
}
