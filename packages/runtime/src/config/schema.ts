import { z } from 'zod';

const ms = (value: number) => z.number().int().positive().default(value);
const bytes = (value: number) => z.number().int().positive().default(value);
const count = (value: number) => z.number().int().positive().default(value);

const MIB = 1024 * 1024;

const serverUrl = z
  .string()
  .regex(/^https?:\/\/\S+$/, 'must be an http:// or https:// URL')
  .overwrite((url) => url.replace(/\/+$/, ''));

const tierSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
      .describe('How reports, history and logs name the tier; no two may be the same'),
    driver: z
      .enum(['embedded', 'comfyui'])
      .describe(
        'What speaks to the backend: `embedded` runs in the worker, `comfyui` is a pool of servers',
      ),
    urls: z.array(serverUrl).default([]).describe('`comfyui`: the servers of the pool'),
    timeoutMs: ms(600_000).describe('Limit for one attempt'),
  })
  .superRefine((tier, context) => {
    const wantsServers = tier.driver === 'comfyui';
    if (wantsServers && tier.urls.length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['urls'],
        message: 'must name at least one server',
      });
    }
    if (!wantsServers && tier.urls.length > 0) {
      context.addIssue({
        code: 'custom',
        path: ['urls'],
        message: `${tier.driver} takes no servers`,
      });
    }
    if (new Set(tier.urls).size < tier.urls.length) {
      context.addIssue({ code: 'custom', path: ['urls'], message: 'names a server twice' });
    }
  });
export type TierConfig = z.infer<typeof tierSchema>;

const queueSchema = z
  .strictObject({
    maxPending: count(10_000).describe('Jobs that may wait; one more is refused with 429'),
    jobTimeoutMs: ms(600_000).describe(
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
    lockMs: z
      .number()
      .int()
      .min(500)
      .default(30_000)
      .describe('A worker that is silent for this long is taken for dead and its jobs run again'),
    historyMaxItems: count(10_000).describe('Ended jobs kept; the oldest go first'),
    historyMaxDays: z
      .number()
      .positive()
      .default(3650)
      .describe('Ended jobs older than this are dropped too'),
    eventsPerJob: count(2_000).describe(
      'Batches of events kept per job for replay (one batch: what happened in one turn of the worker’s event loop)',
    ),
    eventsTtlSeconds: count(3_600).describe(
      'How long a job’s events and missed terminal events are kept after its end',
    ),
  })
  .prefault({});

/** What a ComfyUI frontend of any era loads besides its API (WIRE.md 1.1, 1.2, 6.18). */
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
  })
  .prefault({});

const apiSchema = z
  .strictObject({
    maxBodyBytes: bytes(100 * MIB).describe('Largest JSON body'),
    maxUploadBytes: bytes(100 * MIB).describe('Largest upload; told to clients as max_upload_size'),
    maxPixels: count(268_402_689).describe('Largest picture that /view and /upload/mask decode'),
    maxPromptNodes: count(10_000).describe('Most nodes in one prompt'),
    maxSockets: count(10_000).describe(
      'Open WebSocket and event-stream connections per API process',
    ),
    maxSocketBufferBytes: bytes(16 * MIB).describe('Unsent bytes at which a socket is closed'),
    previewBufferBytes: bytes(1 * MIB).describe(
      'Unsent bytes above which a socket is sent no previews',
    ),
    progressBufferBytes: bytes(4 * MIB).describe(
      'Unsent bytes above which a socket is sent no progress',
    ),
    pingIntervalMs: ms(20_000).describe(
      'Pings to sockets; a peer silent for two of them is dropped',
    ),
    statusIntervalMs: ms(100).describe('Shortest time between two status broadcasts of a process'),
    corsOrigin: z
      .string()
      .min(1)
      .optional()
      .describe('Sent as Access-Control-Allow-Origin; switches the same-origin check off'),
    proxy: proxySchema,
    proxyTimeoutMs: ms(30_000).describe(
      'A proxied server must begin its answer within this time, and never pause for longer',
    ),
  })
  .prefault({});

const workerSchema = z
  .strictObject({
    shutdownGraceMs: ms(10_000).describe(
      'After SIGTERM running jobs may finish for this long, then they are handed back',
    ),
    blockedMs: ms(60_000).describe(
      'A worker whose event loop is stuck for this long kills itself; its jobs run again elsewhere',
    ),
    cacheBytes: bytes(256 * MIB).describe(
      'Results of unchanged nodes kept for later jobs, per process',
    ),
    maxPixels: count(268_402_689).describe('Largest picture a node may load or make'),
  })
  .prefault({});

/** The YAML file: unknown keys are refused, so that a typo is never silently a default. */
export const fileSchema = z.strictObject({
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
  queue: queueSchema,
  api: apiSchema,
  worker: workerSchema,
  auth: z
    .strictObject({
      mode: z
        .enum(['open'])
        .default('open')
        .describe('Who may use the API; `open` is everybody who can reach it'),
    })
    .prefault({}),
});
export type FileConfig = z.infer<typeof fileSchema>;

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));

/** The environment. Wrong values stop the start; they never fall back to the default. */
export const envSchema = z.object({
  HOST: z.string().min(1).default('127.0.0.1').describe('Address the API listens on'),
  PORT: wholeNumber(0, 65_535)
    .default(8188)
    .describe('Port the API listens on; 0 takes a free one'),
  DATA_DIR: z
    .string()
    .min(1)
    .default('./data')
    .describe('Files, settings and the data of a Redis that Tiercel starts'),
  REDIS_URL: z
    .string()
    .regex(/^(rediss?|unix):\/\//, 'must start with redis://, rediss:// or unix://')
    .refine((url) => url.startsWith('unix:') || URL.canParse(url), 'is not a valid URL')
    .optional()
    .describe('The Redis to use; without it one is started'),
  COMFYUI_URL: serverUrl
    .optional()
    .describe('A ComfyUI server that serves everything when the file names no tiers'),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.-]{1,64}$/)
    .default('tiercel')
    .describe('Start of every Redis key and channel'),
  TIERCEL_CONFIG: z
    .string()
    .optional()
    .describe('The YAML file; ./tiercel.config.yaml when it exists'),
  WORKER_PROCESSES: wholeNumber(0, 64).default(1).describe('Worker processes that npm start runs'),
  WORKER_CONCURRENCY: wholeNumber(1, 1_000)
    .default(4)
    .describe('Jobs at once in one worker process'),
  NODES_DIR: z.string().optional().describe('Folder of ES modules that register more nodes'),
  METRICS_PORT: wholeNumber(0, 65_535)
    .optional()
    .describe('Where a worker serves /metrics and /health; off without it'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('What is logged'),
});
