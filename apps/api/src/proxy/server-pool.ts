import type { LiveWorker } from '@tiercel/events';
import { openSecrets, type Clock } from '@tiercel/runtime';
import { isLoopbackName } from '../http/caller-check.ts';

/** A server that just failed is asked after all others for this long. */
const REST_MS = 10_000;

/** The ComfyUI servers that pages are fetched from: those that live workers say are healthy. */
export class ServerPool {
  readonly #workers: () => readonly LiveWorker[];
  readonly #host: string;
  readonly #secretKey: Uint8Array;
  readonly #clock: Clock;
  readonly #restingUntil = new Map<string, number>();
  #seen: readonly LiveWorker[] | undefined;
  #servers: readonly URL[] = [];
  #nextIndex = 0;

  /**
   * @param dependencies.host the name of this machine, as its workers announce it
   * @param dependencies.secretKey of the installation: opens the addresses that hold a login
   */
  constructor(dependencies: {
    workers: () => readonly LiveWorker[];
    host: string;
    secretKey: Uint8Array;
    clock: Clock;
  }) {
    this.#workers = dependencies.workers;
    this.#host = dependencies.host;
    this.#secretKey = dependencies.secretKey;
    this.#clock = dependencies.clock;
  }

  /** All of them, always in the same order. */
  list(): readonly URL[] {
    this.#look();
    return this.#servers;
  }

  /** All of them, in the order to ask them: each call begins with another one. */
  listRotated(): readonly URL[] {
    this.#look();
    const start = this.#nextIndex % Math.max(1, this.#servers.length);
    this.#nextIndex = start + 1;
    const order = [...this.#servers.slice(start), ...this.#servers.slice(0, start)];
    return [
      ...order.filter((server) => !this.#isResting(server)),
      ...order.filter((server) => this.#isResting(server)),
    ];
  }

  /** @returns whether this is news */
  markFailed(server: URL): boolean {
    const isNews = !this.#isResting(server);
    this.#restingUntil.set(server.href, this.#clock.now() + REST_MS);
    return isNews;
  }

  #isResting(server: URL): boolean {
    return (this.#restingUntil.get(server.href) ?? 0) > this.#clock.now();
  }

  #look(): void {
    const workers = this.#workers();
    if (workers === this.#seen) return;
    this.#seen = workers;
    this.#servers = listServers(workers, this.#host, this.#secretKey);
    const known = new Set(this.#servers.map((server) => server.href));
    for (const href of this.#restingUntil.keys()) {
      if (!known.has(href)) this.#restingUntil.delete(href);
    }
  }
}

function listServers(workers: readonly LiveWorker[], host: string, secretKey: Uint8Array): URL[] {
  const byHref = new Map<string, URL>();
  for (const worker of workers) {
    for (const { url, healthy, sealedAddress } of worker.servers) {
      const address = sealedAddress === undefined ? url : tryOpen(secretKey, sealedAddress);
      if (!healthy || address === undefined || !URL.canParse(address)) continue;
      const server = new URL(address);
      if (!['http:', 'https:'].includes(server.protocol)) continue;
      // Another machine's loopback address means this machine here, perhaps this very process.
      if (isLoopbackName(server.hostname) && worker.host !== host) continue;
      byHref.set(server.href, server);
    }
  }
  return [...byHref.values()];
}

/** Sealed with another key: the worker has another data folder, and its server is not ours to ask. */
function tryOpen(secretKey: Uint8Array, sealed: string): string | undefined {
  try {
    return openSecrets(secretKey, sealed);
  } catch {
    return undefined;
  }
}

/** One name for a server, however its URL is written and whichever host names it. */
export function nameServer(url: string, host: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  return isLoopbackName(parsed.hostname) ? `${host} ${parsed.href}` : parsed.href;
}
