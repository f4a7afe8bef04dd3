import { z } from 'zod';
import { comfyUiUrl, hostName, redisUrl } from './address-kinds.ts';
import { shortName } from './value-kinds.ts';

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));

/** The environment. Wrong values stop the start; they never fall back to the default. */
export const envSchema = z.object({
  HOST: hostName.default('127.0.0.1').describe('Address the API listens on'),
  PORT: wholeNumber(0, 65_535)
    .default(8188)
    .describe('Port the API listens on; 0 takes a free one'),
  DATA_DIR: z
    .string()
    .min(1)
    .default('./data')
    .describe('Files, settings and the data of a Redis that Tiercel starts'),
  REDIS_URL: redisUrl.optional().describe('The Redis to use; without it one is started'),
  COMFYUI_URL: comfyUiUrl
    .optional()
    .describe('A ComfyUI server that serves everything when the file names no tiers'),
  REDIS_PREFIX: shortName.default('tiercel').describe('Start of every Redis key and channel'),
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

/**
 * The environment of a child process: our own, with these settings added. Only its owner can read it, where arguments
 * are seen by every user of the machine.
 */
export function childEnvironment(
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, string | undefined>> {
  return { ...process.env, ...settings };
}
