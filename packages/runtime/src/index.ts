export { blockedMs, isUsageKept } from './config/file-schema.ts';
export { loadConfig, type Config } from './config/load.ts';
export { DEFAULT_PLANS, planSchema, type Plan } from './config/plan-schema.ts';
export { poolSchema } from './config/pool-schema.ts';
export { TIER_RULES, type TierDriver } from './config/tier-rules.ts';
export type { TierConfig } from './config/tier-schema.ts';
export type { WebhooksConfig } from './config/webhooks-schema.ts';
export { clockFrom, sleep, startInterval, startTimer, systemClock, type Clock } from './timers.ts';
export { CoalescedRefresh } from './coalesced-refresh.ts';
export { inTime, LATE, raceAbort } from './waiting.ts';
export { Health } from './health.ts';
export { memoizeLast } from './memoize-last.ts';
export { runMain } from './lifecycle.ts';
export { childEnvironment } from './config/env-schema.ts';
export { listSecrets } from './config/list-secrets.ts';
export { createLogger, type Logger } from './logger.ts';
export {
  connectRedis,
  findRedisProblems,
  waitForRedis,
  type ConnectionRole,
  type Redis,
} from './redis.ts';
export { isRedisUnavailable, untilServed } from './redis-trouble.ts';
export { startProcess, type RunningProcess } from './start-process.ts';
export { RedisScript } from './redis-script.ts';
export { OVERLOAD_STEPS } from './config/overload-schema.ts';
export { addOverloadMetrics } from './overload/overload-metrics.ts';
export { OverloadWatch } from './overload/overload-watch.ts';
export { addTierMetrics, type TierReading } from './tier-metrics.ts';
export { createMetrics, type Metrics, type MetricsRegistry, type Sample } from './metrics.ts';
export { openSecrets, sealSecrets } from './seal.ts';
export { loadSecretKey } from './secret-key.ts';
export { createSecretMask, NO_MASK, type SecretMask } from './secret-mask.ts';
export {
  reportAccepting,
  reportReady,
  type ChildMessage,
  type ReadyMessage,
} from './supervised.ts';
export { requireClosedNetwork } from './open-network.ts';
export { serveMetrics } from './metrics-server.ts';
