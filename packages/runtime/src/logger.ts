import { pino, type Logger } from 'pino';

export type { Logger };

/** Wherever these keys turn up in a logged object, the value is not written. */
const SECRET_KEYS = [
  'apiKey',
  'token',
  'authorization',
  'auth_token_comfy_org',
  'api_key_comfy_org',
];

/** JSON lines on stdout; children carry promptId, attempt, tier. */
export function createLogger(options: { level: string; name: string }): Logger {
  return pino({
    level: options.level,
    base: { name: options.name, pid: process.pid },
    redact: {
      paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
      censor: '[redacted]',
    },
  });
}
