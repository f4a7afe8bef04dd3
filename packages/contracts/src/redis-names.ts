/**
 * Every Redis key and channel of the house. Who writes which: docs/architecture.md.
 * Channels carry the prefix too, because pub/sub crosses database numbers.
 */
export class RedisNames {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** For BullMQ's own keys. */
  get bullPrefix(): string {
    return `${this.prefix}:bull`;
  }

  readonly permitQueue = 'permits';

  job = (id: string): string => `${this.prefix}:job:${id}`;
  jobEvents = (id: string): string => `${this.prefix}:events:${id}`;
  lastPreview = (id: string): string => `${this.prefix}:preview:${id}`;
  missed = (clientId: string): string => `${this.prefix}:missed:${clientId}`;
  worker = (id: string): string => `${this.prefix}:worker:${id}`;
  catalogue = (hash: string): string => `${this.prefix}:catalogue:${hash}`;
  /** A cached result, by the hash of its key. */
  resultCache = (hash: string): string => `${this.prefix}:result:${hash}`;
  /** The lease of the one job that works on a result. */
  flight = (hash: string): string => `${this.prefix}:flight:${hash}`;

  /** Breaker and recent times of a tier; `:running`, `:waiting` and `:ms` lie beside it. */
  tier = (name: string): string => `${this.prefix}:tier:${name}`;

  /** Hashes of cached results by last use. */
  get resultCacheIndex(): string {
    return `${this.prefix}:results`;
  }
  /** The same by the time they are too old. */
  get resultCacheExpiry(): string {
    return `${this.prefix}:results-expiry`;
  }
  /** Bytes of each cached result, and of all. */
  get resultCacheSizes(): string {
    return `${this.prefix}:results-sizes`;
  }
  get workers(): string {
    return `${this.prefix}:workers`;
  }
  get lastCatalogues(): string {
    return `${this.prefix}:catalogues`;
  }
  /** Frames for the sockets of one client. */
  clientChannel = (clientId: string): string => `${this.prefix}:ch:client:${clientId}`;
  /** Frames of one job, for server-sent events. */
  jobChannel = (id: string): string => `${this.prefix}:ch:job:${id}`;
  /** Frames of jobs without a client: every socket gets them. */
  get everyoneChannel(): string {
    return `${this.prefix}:ch:everyone`;
  }
  /** The number of jobs in the queue, at each change. */
  get statusChannel(): string {
    return `${this.prefix}:ch:status`;
  }
  /** Interrupts, API to worker: a prompt id. */
  get bellChannel(): string {
    return `${this.prefix}:ch:bell`;
  }
  /** Orders for every worker, as JSON: unload models. */
  get controlChannel(): string {
    return `${this.prefix}:ch:control`;
  }
  /** A worker came, changed its catalogue, or went. */
  get announceChannel(): string {
    return `${this.prefix}:ch:announce`;
  }
}
