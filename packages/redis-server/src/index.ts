export { findRunningRedis } from './find-running-redis.ts';
export { findRedisServer } from './find-redis-server.ts';
export { startRedisServer, type RedisServer } from './start-redis-server.ts';
