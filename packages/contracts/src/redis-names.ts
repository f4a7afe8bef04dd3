import { DEFAULT_TENANT } from './caller.ts';

/**
 * Every Redis key and channel of the house, without the prefix; `*` stands for what is named. TypeScript reads
 * them here, Lua asks for them with `-- @keys`. Who writes which, and what is in it: docs/architecture.md.
 */
const NAMES = {
  job: 'job:*',
  pending: 'pending',
  pending_bytes: 'pending-bytes',
  posted: 'posted:*',
  replay: 'replay:*',
  unreleased: 'unreleased',
  ready: 'ready:*',
  group: 'lane:*',
  groups: 'lanes',
  tenants: 'tenants',
  vtime: 'vtime',
  vtime_lag: 'vtime-lag',
  comers: 'comers',
  held: 'held',
  spare: 'spare',
  debts: 'debts',
  elsewhere: 'elsewhere',
  kinds: 'kinds',
  kind_jobs: 'kind:*',
  judging_for: 'judging-for',
  judged_for: 'judged-for',
  unjudged: 'unjudged',
  fleet: 'fleet',
  profile: 'profile:*',
  preempting: 'preempting',
  urgent: 'urgent',
  tenant: 'tenant:*',
  share: 'share:*',
  started: 'started:*',
  costs: 'costs',
  costs_recent: 'costs-recent',
  running: 'running',
  permits: 'permits',
  history: 'history',
  history_sizes: 'history-sizes',
  created: 'created:*',
  duration: 'duration:*',
  workflow: 'workflow:*',
  number: 'number',
  seq: 'seq',
  reply: 'reply:*',
  events: 'events:*',
  state: 'state:*',
  ends: 'ends',
  pictures: 'pictures:*',
  preview: 'preview:*',
  missed: 'missed:*',
  worker: 'worker:*',
  workers: 'workers',
  catalogue: 'catalogue:*',
  catalogues: 'catalogues',
  sweeping: 'sweeping',
  tier: 'tier:*',
  tier_running: 'tier:*:running',
  tier_waiting: 'tier:*:waiting',
  tier_ms: 'tier:*:ms',
  slots: 'slots:*',
  slot_waiters: 'slot-waiters',
  result: 'result:*',
  results: 'results',
  results_expiry: 'results-expiry',
  results_sizes: 'results-sizes',
  flight: 'flight:*',
  api_key: 'api-key:*',
  api_keys: 'api-keys',
  api_keys_version: 'api-keys-version',
  plans_set: 'plans',
  tenants_set: 'tenants-set',
  tiers_set: 'tiers-set',
  pools_set: 'pools-set',
  policy_version: 'policy-version',
  audit: 'audit',
  overload: 'overload',
  usage: 'usage:*',
  usage_total: 'usage-total:*',
  usage_tenants: 'usage-tenants:*',
  usage_ran: 'usage-ran:*',
  usage_cost: 'usage-cost:*',
  spent: 'spent:*',
  webhook_outbox: 'webhook-outbox',
  webhook_wanted: 'webhook-wanted',
  webhook_endpoints: 'webhook-endpoints:*',
  webhook_secrets: 'webhook-secrets:*',
  webhook_lease: 'webhook-dispatching',
  webhook_delivery: 'webhook-delivery:*',
  webhook_chain: 'webhook-chain:*',
  webhook_ready: 'webhook-ready:*',
  webhook_receivers: 'webhook-receivers:*',
  webhook_tenants: 'webhook-tenants:*',
  webhook_due: 'webhook-due',
  webhook_turns: 'webhook-turns',
  webhook_flights: 'webhook-flights',
  webhook_busy: 'webhook-busy',
  webhook_health: 'webhook-health:*',
  webhook_paced: 'webhook-paced:*',
  webhook_count: 'webhook-count',
  webhook_sizes: 'webhook-sizes',
  webhook_log: 'webhook-log:*',
  webhook_settled: 'webhook-settled:*',
  webhook_dead: 'webhook-dead:*',
  webhook_all_settled: 'webhook-all-settled',
  /** BullMQ's list of permits that wait. */
  waiting_permits: 'bull:permits:wait',
  client_channel: 'ch:client:*',
  job_channel: 'ch:job:*',
  everyone_channel: 'ch:everyone',
  pulse_channel: 'ch:pulse:*',
  status_channel: 'ch:status',
  interrupt_channel: 'ch:bell',
  control_channel: 'ch:control',
  announce_channel: 'ch:announce',
  slot_channel: 'ch:slot',
  ready_channel: 'ch:ready',
  accounts_channel: 'ch:accounts',
} as const;
export type RedisName = keyof typeof NAMES;

/** Channels carry the prefix too, because pub/sub crosses database numbers. */
export class RedisNames {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  #name(name: RedisName, of = ''): string {
    return `${this.prefix}:${NAMES[name].replace('*', () => of)}`;
  }

  /** For BullMQ's own keys. */
  get bullPrefix(): string {
    return `${this.prefix}:bull`;
  }

  readonly permitQueue = 'permits';
  readonly webhookQueue = 'webhooks';

  job = (id: string): string => this.#name('job', id);
  /** Waiting jobs of a concurrency group. */
  group = (of: string): string => this.#name('group', of);
  workflow = (id: string): string => this.#name('workflow', id);
  /** Jobs in one state by the time they were created, or by how long they ran. */
  byState = (set: 'created' | 'duration', state: string): string => this.#name(set, state);
  jobEvents = (id: string): string => this.#name('events', id);
  /** Where a job stands: the newest frame of each kind. */
  jobState = (id: string): string => this.#name('state', id);
  lastPreview = (id: string): string => this.#name('preview', id);
  missed = (client: string): string => this.#name('missed', client);
  /** Pictures that are results and that no socket of the client has been sent. */
  unsentPictures = (client: string): string => this.#name('pictures', client);
  worker = (id: string): string => this.#name('worker', id);
  catalogue = (hash: string): string => this.#name('catalogue', hash);
  /** A cached result, by the hash of its key. */
  resultCache = (hash: string): string => this.#name('result', hash);
  /** The lease of the one job that works on a result. */
  flight = (hash: string): string => this.#name('flight', hash);
  /** Breaker of a tier. */
  tier = (name: string): string => this.#name('tier', name);
  /** Leases of attempts that a tier has. */
  tierRunning = (name: string): string => this.#name('tier_running', name);
  /** Leases of jobs that wait for a place on a tier. */
  tierWaiting = (name: string): string => this.#name('tier_waiting', name);
  /** Leases of prompts on a ComfyUI server. */
  slots = (url: string): string => this.#name('slots', url);
  /** Leases of all that wait for slots. */
  get slotWaiters(): string {
    return this.#name('slot_waiters');
  }

  /** A tenant's webhooks, sealed, by id. */
  webhookEndpoints = (tenant: string): string => this.#name('webhook_endpoints', tenant);
  /** A tenant's signing secrets, sealed, by name. */
  webhookSecrets = (tenant: string): string => this.#name('webhook_secrets', tenant);
  webhookDelivery = (id: string): string => this.#name('webhook_delivery', id);
  /** A tenant's deliveries by the time they were made. */
  webhookLog = (tenant: string): string => this.#name('webhook_log', tenant);
  /** A tenant's dead letters by the time they were given up. */
  webhookDead = (tenant: string): string => this.#name('webhook_dead', tenant);
  get webhookOutbox(): string {
    return this.#name('webhook_outbox');
  }
  /** Who makes deliveries of the outbox. */
  get webhookLease(): string {
    return this.#name('webhook_lease');
  }
  /** Deliveries under way, by turn. */
  get webhookTurns(): string {
    return this.#name('webhook_turns');
  }
  /** Counts and bytes of deliveries, of each tenant and of all. */
  get webhookSizes(): string {
    return this.#name('webhook_sizes');
  }
  /** Which workers there are: what `lua/includes/kinds.lua` calls a fleet, whose jobs are being judged. */
  get judgingFor(): string {
    return this.#name('judging_for');
  }
  /** The same, when all jobs have been. */
  get judgedFor(): string {
    return this.#name('judged_for');
  }
  /** Kinds of jobs that wait and are not for all workers. */
  get kinds(): string {
    return this.#name('kinds');
  }
  /** Ids of jobs that are to be judged once more. */
  get unjudged(): string {
    return this.#name('unjudged');
  }
  /** Run times in ms that jobs of a signature took. */
  get costs(): string {
    return this.#name('costs');
  }
  /** What workers of a profile can run. */
  profile = (id: string): string => this.#name('profile', id);
  /** Kinds of jobs that wait and are not for all workers. */
  get readyChannel(): string {
    return this.#name('ready_channel');
  }
  get unreleased(): string {
    return this.#name('unreleased');
  }
  get pending(): string {
    return this.#name('pending');
  }
  /**
   * A tenant's own part of a set of jobs (pending, running, history, byState) or of the count of prompts. The set itself
   * holds those of DEFAULT_TENANT alone.
   */
  ofTenant = (set: string, tenant: string): string =>
    tenant === DEFAULT_TENANT ? set : `${set}@${tenant}`;
  /** The same set in its parts: all jobs, whosesoever. */
  ofAll = (set: string): readonly [own: string, others: string] => [set, `${set}@`];
  /** Bytes of all pending jobs together. */
  get pendingBytes(): string {
    return this.#name('pending_bytes');
  }
  /** Tenants that may start a job; that have just come; that stand at a limit. */
  get waitingTenants(): readonly string[] {
    return [this.#name('tenants'), this.#name('comers'), this.#name('held')];
  }
  /** Tenants that may start a job, and none that is for all workers. */
  get elsewhere(): string {
    return this.#name('elsewhere');
  }
  /** How many ends each tenant has in history. */
  get historySizes(): string {
    return this.#name('history_sizes');
  }
  /** What a tenant may. */
  tenant = (id: string): string => this.#name('tenant', id);
  /** What a POST with an Idempotency-Key was answered. */
  replay = (key: string): string => this.#name('replay', key);
  get running(): string {
    return this.#name('running');
  }
  get history(): string {
    return this.#name('history');
  }
  /** ComfyUI's count of prompts. */
  get number(): string {
    return this.#name('number');
  }
  /** The count of arrivals. */
  get seq(): string {
    return this.#name('seq');
  }
  get sweeping(): string {
    return this.#name('sweeping');
  }
  /** Hashes of cached results by last use. */
  get resultCacheIndex(): string {
    return this.#name('results');
  }
  /** The same by the time they are too old. */
  get resultCacheExpiry(): string {
    return this.#name('results_expiry');
  }
  /** Bytes of each cached result, and of all. */
  get resultCacheSizes(): string {
    return this.#name('results_sizes');
  }
  /** The ends of all jobs, in their order. */
  get ends(): string {
    return this.#name('ends');
  }
  /** Written to see whether Redis takes writes; its value says nothing. */
  get probe(): string {
    return `${this.prefix}:probe`;
  }
  /** The API process that shows counts of workers on its /metrics. */
  get metricsTurn(): string {
    return `${this.prefix}:metrics-turn`;
  }
  get workers(): string {
    return this.#name('workers');
  }
  get lastCatalogues(): string {
    return this.#name('catalogues');
  }
  /** Frames for the sockets of one client. */
  clientChannel = (client: string): string => this.#name('client_channel', client);
  /** Frames of one job, for server-sent events. */
  jobChannel = (id: string): string => this.#name('job_channel', id);
  /** Frames of a tenant's jobs without a client: every socket of it gets them. */
  everyoneChannel = (tenant: string): string => {
    const name = this.#name('everyone_channel');
    return tenant === DEFAULT_TENANT ? name : `${name}:${tenant}`;
  };
  /** What a process tells itself, to know that it hears. */
  pulseChannel = (process: string): string => this.#name('pulse_channel', process);
  /** The number of jobs in the queue, at each change. */
  get statusChannel(): string {
    return this.#name('status_channel');
  }
  /** Interrupts, API to worker: a JobId. */
  get interruptChannel(): string {
    return this.#name('interrupt_channel');
  }
  /** Orders for every worker, as JSON: unload models. */
  get controlChannel(): string {
    return this.#name('control_channel');
  }
  /** A worker came, changed its catalogue, or went. */
  get workersChannel(): string {
    return this.#name('announce_channel');
  }
  /** The key of a set of leases in which somebody who waits may find a slot now. */
  get slotChannel(): string {
    return this.#name('slot_channel');
  }
  /** An API key, by the hash of its text. */
  apiKey = (hash: string): string => this.#name('api_key', hash);
  /** Hash of each API key by its id. */
  get apiKeys(): string {
    return this.#name('api_keys');
  }
  /** What administrators have set of one kind of thing, by name. */
  policySet = (kind: 'plans' | 'tenants' | 'tiers' | 'pools'): string => this.#name(`${kind}_set`);
  /** Which processes are overloaded now. */
  get overload(): string {
    return this.#name('overload');
  }
  /** What administrators changed. */
  get audit(): string {
    return this.#name('audit');
  }
  /** What a tenant used on a day, YYYY-MM-DD. */
  usage = (date: string, tenant: string): string => this.#name('usage', `${date}:${tenant}`);
  /** What all tenants used on a day. */
  usageTotal = (date: string): string => this.#name('usage_total', date);
  /** Tenants that used something on a day: in the order of their names, by run time, by cost. */
  usageTenants = (date: string, by: 'name' | 'ran' | 'cost'): string =>
    this.#name(by === 'name' ? 'usage_tenants' : `usage_${by}`, date);
  /** What a tenant has spent on a day, YYYY-MM-DD, or in a month, YYYY-MM. */
  spent = (date: string, tenant: string): string => this.#name('spent', `${date}:${tenant}`);
  /** Keys or policies have changed; what it says has no meaning. */
  get accountsChannel(): string {
    return this.#name('accounts_channel');
  }
}

export function isRedisName(text: string): text is RedisName {
  return Object.hasOwn(NAMES, text);
}

/**
 * The same name as a local of a Lua script that has a local `prefix`: `pending` becomes the string `pending_key`,
 * `job` the function `job_key(id)`, a channel keeps its name.
 */
export function luaName(name: RedisName): string {
  const local = name.endsWith('_channel') ? name : `${name}_key`;
  const [before = '', after] = NAMES[name].split('*');
  const start = `prefix .. ':${before}'`;
  if (after === undefined) return `local ${local} = ${start}`;
  const end = after === '' ? '' : ` .. '${after}'`;
  return `local function ${local}(of) return ${start} .. of${end} end`;
}
