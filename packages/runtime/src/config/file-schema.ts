import { DEFAULT_POOL, ERAS, FALLBACK_POLICIES, OMITTABLE, ROLES } from '@tiercel/contracts';
import { z } from 'zod';
import { corsOrigin, hostHeaderName } from './address-kinds.ts';
import { authSchema, trustedProxiesSchema } from './auth-schema.ts';
import { overloadSchema } from './overload-schema.ts';
import { plansSchema } from './plan-schema.ts';
import { findPoolProblems, poolsSchema } from './pool-schema.ts';
import { tierSchema } from './tier-schema.ts';
import { usageSchema } from './usage-schema.ts';
import {
  atMost,
  bytes,
  count,
  DAY_MS,
  duration,
  HOUR_MS,
  LONGEST_JOB_MS,
  MAX_PIXELS,
  MIB,
  MINUTE_MS,
  ms,
  shortName,
} from './value-kinds.ts';
import { webhooksSchema } from './webhooks-schema.ts';

/** What a ComfyUI frontend of any era loads besides its API (wire 1.13). */
const FRONTEND_PATHS = [
  '/',
  '/assets/**',
  '/scripts/**',
  '/lib/**',
  '/css/**',
  '/comfy/**',
  '/extensions/**',
  '/templates/**',
  '/docs/**',
  '/fonts/**',
  '/cursor/**',
  '/*.js',
  '/*.css',
  '/*.ico',
];

const proxySchema = z
  .strictObject({
    paths: z
      .array(
        z
          .string()
          .regex(/^\/(?!.*\*\*.)[^\s?#%\\]*$/, 'must start with / and have ** only at its end'),
      )
      .default(FRONTEND_PATHS)
      .describe(
        'Paths answered by a live ComfyUI server of the pool; `*` is any text without a slash, `**` at the end anything below. Routes of Tiercel always win',
      ),
    methods: z
      .array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']))
      .default(['GET', 'HEAD'])
      .describe('Methods that `paths` are proxied for'),
    customRoutes: z
      .array(
        z
          .string()
          .regex(
            /^(\/[^\s?#%\\*/]+)+$/,
            'must be a path such as /customnode, without wildcards and a slash at its end',
          ),
      )
      .default([])
      .describe(
        'Routes of custom nodes, proxied for any method: `/x` means `/x` and all below it, also as `/api/x`',
      ),
    roles: z
      .array(z.enum(ROLES))
      .default(['admin'])
      .describe(
        'Roles that `customRoutes` are for, unless `auth.mode` is `open`: some of those routes write files or install software',
      ),
  })
  .prefault({});

const apiSchema = z
  .strictObject({
    maxBodyBytes: bytes(100 * MIB).describe(
      'Largest body of POST /prompt, /queue, /history and /api/workflows/convert; on other routes JSON bodies end at 1 MiB',
    ),
    maxJsonValues: count(1_000_000).describe(
      'Most values (members, elements, objects and lists together) in one JSON body',
    ),
    maxUploadBytes: bytes(100 * MIB).describe('Largest upload; told to clients as max_upload_size'),
    maxPixels: count(MAX_PIXELS).describe('Largest picture that /view and /upload/mask decode'),
    pictureMemoryBytes: bytes(640 * MIB).describe(
      'Memory for pictures that /view and /upload/mask encode, per process; who needs more than is free waits',
    ),
    maxPromptNodes: count(10_000).describe('Most nodes in one prompt'),
    maxSockets: count(10_000).describe(
      'Open WebSocket and event-stream connections per API process',
    ),
    maxSocketBufferBytes: bytes(16 * MIB).describe(
      'Unsent bytes at which a socket or an event stream is closed; its client comes back and is told what it missed',
    ),
    previews: z
      .enum(['announced', 'always'])
      .default('announced')
      .describe(
        'Who is sent a sampler’s previews when `extra_data.preview_method` does not ask for them: sockets that announced feature flags, as frontends do; or every socket of the client',
      ),
    previewBufferBytes: bytes(1 * MIB).describe(
      'Unsent bytes above which a socket is sent no previews',
    ),
    progressBufferBytes: bytes(4 * MIB).describe(
      'Unsent bytes above which a socket or an event stream is sent no progress',
    ),
    pingIntervalMs: ms(20_000, HOUR_MS).describe(
      'Pings to sockets; a peer silent for two of them is dropped',
    ),
    statusIntervalMs: ms(100, MINUTE_MS).describe(
      'Shortest time between two status broadcasts of a process',
    ),
    allowedHosts: z
      .array(hostHeaderName)
      .default([])
      .describe(
        'Names, besides `localhost` and loopback addresses, that callers may reach the API by (the `Host` header): that of a proxy before it, say; `*` is any',
      ),
    corsOrigin: corsOrigin
      .optional()
      .describe(
        'The one foreign origin whose pages may use the API, sent as Access-Control-Allow-Origin; `*` is any',
      ),
    firstWorkerWaitMs: ms(10_000, MINUTE_MS).describe(
      'How long POST /prompt waits for the first worker of a new system before it is refused',
    ),
    drainDelayMs: atMost(z.number().int().min(0), 10 * MINUTE_MS, 10 * MINUTE_MS)
      .default(0)
      .describe(
        'After SIGTERM the API goes on for this long, with /health/ready at 503, so that load balancers find other processes first',
      ),
    metricsPort: z
      .number()
      .int()
      .min(0)
      .max(65_535)
      .optional()
      .describe(
        'A port of its own for /metrics and /health, on `HOST`, for whoever reaches it: without it /metrics takes a key of role `admin`, unless `auth.mode` is `open`',
      ),
    proxy: proxySchema,
    proxyTimeoutMs: ms(30_000, DAY_MS).describe(
      'A proxied server must begin its answer within this time, and never pause for longer',
    ),
  })
  .prefault({});

const queueSchema = z
  .strictObject({
    maxPending: count(10_000).describe('Jobs that may wait; one more is refused with 429'),
    maxPendingBytes: bytes(480 * MIB).describe(
      'Bytes of prompts and extra data that may wait in all jobs together; a job with no room left is refused with 429',
    ),
    jobTimeoutMs: ms(600_000, LONGEST_JOB_MS).describe(
      'Limit for one run of a job; then it ends in execution_error',
    ),
    attempts: count(3).describe(
      'Times a job is started when workers die under it, before it ends in execution_error',
    ),
    perClient: z
      .enum(['serial', 'parallel'])
      .default('serial')
      .describe(
        'serial: one running job per client_id, as ComfyUI does; parallel: as many as there is room for',
      ),
    lockMs: duration(HOUR_MS)
      .min(500)
      .default(15_000)
      .describe(
        'A worker that is silent for this long is taken for dead; its jobs run again at most a third of it later',
      ),
    historyMaxItems: count(10_000).describe('Ended jobs kept; the oldest go first'),
    historyMaxDays: atMost(z.number().positive(), 36_500, 36_500 * DAY_MS)
      .default(3650)
      .describe('Ended jobs older than this are dropped too'),
    eventsPerJob: count(2_000).describe(
      'Batches of events kept per job for replay (one batch: what happened within 3 ms)',
    ),
    eventBytesPerJob: bytes(8 * MIB).describe(
      'Bytes of events kept per job for replay; the oldest go first',
    ),
    maxEventBytes: z
      .number()
      .int()
      .min(1_024)
      .max(8 * MIB)
      .default(1 * MIB)
      .describe(
        'Largest single event; what is over it is cut (`tiercel_cut`), the whole is in history',
      ),
    eventsTtlSeconds: atMost(z.number().int().positive(), 30 * 86_400, 30 * DAY_MS)
      .default(3_600)
      .describe('How long a job’s events and missed terminal events are kept after its end'),
  })
  .refine((queue) => queue.eventBytesPerJob >= queue.maxEventBytes, {
    path: ['eventBytesPerJob'],
    message: 'must be at least maxEventBytes, or a single event would be too much',
  })
  .prefault({});

/** What the longest `queue.lockMs` allows: three fifths of it. */
const LONGEST_BLOCK_MS = (HOUR_MS * 3) / 5;

const workerSchema = z
  .strictObject({
    pool: shortName
      .default(DEFAULT_POOL)
      .describe(
        'The pool that this worker belongs to: an entry of `pools` says which jobs it takes',
      ),
    shutdownGraceMs: ms(10_000, DAY_MS).describe(
      'After SIGTERM running jobs may finish for this long, then they are handed back',
    ),
    blockedMs: duration(LONGEST_BLOCK_MS)
      .optional()
      .describe(
        'A worker whose event loop is stuck for this long kills itself; its jobs run again elsewhere. Not set: three fifths of `queue.lockMs`, which is also the most it may be',
      ),
    cacheBytes: bytes(256 * MIB).describe(
      'Results of unchanged nodes kept for later jobs, per process',
    ),
    maxPixels: count(MAX_PIXELS).describe('Largest picture a node may load or make'),
    pictureMemoryBytes: bytes(2048 * MIB).describe(
      'Memory for the pictures of running jobs, per process; who needs more than is free waits',
    ),
  })
  .prefault({});

const fallbackSchema = z
  .strictObject({
    policy: z
      .enum(FALLBACK_POLICIES)
      .default('any')
      .describe(
        'For jobs without `extra_data.fallback`: `never` (only the first tier that can), `same_quality`, `any`',
      ),
    mayOmit: z
      .array(z.enum(OMITTABLE))
      .default([])
      .describe(
        `What image services may leave out of a graph, reported as degraded: ${OMITTABLE.join(', ')}`,
      ),
    patienceMs: ms(60_000, LONGEST_JOB_MS).describe(
      'How long a job waits for a paused tier when no other can serve it',
    ),
    breakerFailures: count(3).describe('Failures in a row after which a tier is paused'),
    breakerOpenMs: ms(5_000, DAY_MS).describe('First pause; each failed try after it doubles it'),
    breakerMaxOpenMs: ms(60_000, DAY_MS).describe('Longest pause after failures'),
  })
  .prefault({});

const cacheSchema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether results of image services answer for equal later jobs'),
    shared: z
      .boolean()
      .default(false)
      .describe(
        'Whether results also answer equal jobs of other tenants, which get files of their own with the same pixels; else each tenant has its own results',
      ),
    maxBytes: bytes(1024 * MIB).describe('Files that stored results may refer to, together'),
    maxAgeMs: ms(DAY_MS, 365 * DAY_MS).describe('How long a result answers for equal jobs'),
    degradedMaxAgeMs: ms(300_000, 365 * DAY_MS).describe('The same for degraded results'),
  })
  .prefault({});

/**
 * A blocked event loop renews no locks. They are renewed every sixth of their time, and the watchdog may need half
 * as long again as it grants: so a worker is dead before a lock that it held has run out.
 */
const longestBlockMs = (lockMs: number): number => Math.floor((lockMs * 3) / 5);

/** How long the event loop of a worker may be stuck. */
export function blockedMs(config: Pick<FileConfig, 'queue' | 'worker'>): number {
  return config.worker.blockedMs ?? longestBlockMs(config.queue.lockMs);
}

/** Whether it is counted what tenants use: in mode `open` only for who says what a tier costs. */
export function isUsageKept({ auth, tiers }: Pick<FileConfig, 'auth' | 'tiers'>): boolean {
  return auth.mode !== 'open' || tiers.some(({ price }) => price !== undefined);
}

const compatSchema = z
  .strictObject({
    era: z
      .enum(ERAS)
      .default('newest')
      .describe(
        'Which ComfyUI’s words are spoken where its versions differ: `newest`, or `0.3.64`, which says `invalid_prompt` of a class it has not and adds no `create_time` to `extra_data`',
      ),
  })
  .prefault({});

/** The YAML file: unknown keys are refused, so that a typo is never silently a default. */
export const fileSchema = z
  .strictObject({
    tiers: z
      .array(tierSchema)
      .refine((tiers) => new Set(tiers.map((tier) => tier.name)).size === tiers.length, {
        message: 'tier names must differ: reports and metrics name a tier by it',
      })
      .default([])
      .describe(
        'The backends, in the order they are preferred; with none, the server of COMFYUI_URL, else one embedded tier',
      ),
    storage: z
      .strictObject({
        driver: z.enum(['filesystem']).default('filesystem').describe('Where files are kept'),
      })
      .prefault({}),
    fallback: fallbackSchema,
    cache: cacheSchema,
    compat: compatSchema,
    queue: queueSchema,
    api: apiSchema,
    worker: workerSchema,
    webhooks: webhooksSchema,
    auth: authSchema,
    trustedProxies: trustedProxiesSchema,
    plans: plansSchema,
    overload: overloadSchema,
    usage: usageSchema,
    pools: poolsSchema,
  })
  .superRefine((file, context) => {
    for (const { path, message } of findPoolProblems(file)) {
      context.addIssue({ code: 'custom', path: [...path], message });
    }
  })
  .superRefine(({ queue: { lockMs }, worker }, context) => {
    const most = longestBlockMs(lockMs);
    if (worker.blockedMs === undefined || worker.blockedMs <= most) return;
    context.addIssue({
      code: 'custom',
      path: ['worker', 'blockedMs'],
      message:
        `a worker that is stuck for ${worker.blockedMs} ms loses its jobs before it is killed, and they run twice: ` +
        `at most ${most}, three fifths of queue.lockMs, or raise that to ${Math.ceil((worker.blockedMs * 5) / 3)}`,
    });
  });
export type FileConfig = z.infer<typeof fileSchema>;
