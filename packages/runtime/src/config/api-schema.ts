import { z } from 'zod';
import { corsOrigin, hostHeaderName } from './address-kinds.ts';
import {
  atMost,
  bytes,
  count,
  DAY_MS,
  HOUR_MS,
  MAX_PIXELS,
  MIB,
  MINUTE_MS,
  ms,
} from './value-kinds.ts';

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
  })
  .prefault({});

export const apiSchema = z
  .strictObject({
    maxBodyBytes: bytes(100 * MIB).describe(
      'Largest body of POST /prompt, /queue and /history; on other routes JSON bodies end at 1 MiB',
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
    proxy: proxySchema,
    proxyTimeoutMs: ms(30_000, DAY_MS).describe(
      'A proxied server must begin its answer within this time, and never pause for longer',
    ),
  })
  .prefault({});
