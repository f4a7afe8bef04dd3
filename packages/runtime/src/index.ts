export { blockedMs } from './config/file-schema.ts';
export { loadConfig, type Config } from './config/load.ts';
export { TIER_RULES, type TierDriver } from './config/tier-rules.ts';
export type { TierConfig } from './config/tier-schema.ts';
export { clockFrom, systemClock, type Clock } from './clock.ts';
export { CoalescedRefresh } from './coalesced-refresh.ts';
export { inTime, LATE } from './in-time.ts';
export { Health } from './health.ts';
export { memoizeLast } from './memoize-last.ts';
export { runMain } from './lifecycle.ts';
export { childEnvironment } from './config/child-environment.ts';
export { listSecrets } from './config/list-secrets.ts';
export { createLogger, type Logger } from './logger.ts';
export {
  connectRedis,
  findRedisProblems,
  waitForRedis,
  type ConnectionRole,
  type Redis,
} from './redis.ts';
export { untilServed } from './until-served.ts';
export { isRedisUnavailable } from './redis-trouble.ts';
export { startProcess, type RunningProcess } from './start-process.ts';
export { RedisScript } from './redis-script.ts';
export { addTierMetrics, type TierReading } from './tier-metrics.ts';
export { createMetrics, type Metrics, type MetricsRegistry } from './metrics.ts';
export { loadSecretKey } from './secret-key.ts';
export { createSecretMask, NO_MASK, type SecretMask } from './secret-mask.ts';
export {
  reportAccepting,
  reportReady,
  type ChildMessage,
  type ReadyMessage,
} from './supervised.ts';
export { serveMetrics } from './metrics-server.ts';
export { sleep, startInterval, startTimer } from './timers.ts';
export { raceAbort } from './race-abort.ts';
