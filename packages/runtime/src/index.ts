export { loadConfig, type Config } from './config/load.ts';
export type { TierConfig } from './config/schema.ts';
export { systemClock, type Clock } from './clock.ts';
export { Lifecycle, runMain } from './lifecycle.ts';
export { createLogger, type Logger } from './logger.ts';
export {
  connectRedis,
  findDurabilityProblems,
  waitForRedis,
  type ConnectionRole,
  type Redis,
} from './redis.ts';
