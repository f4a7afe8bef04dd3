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

export interface LoggerOptions {
  readonly level: string;
  readonly name: string;
  /** Asked of each logged `err`: whether it is told elsewhere already, so that here it is worth a debug line only. */
  readonly isTold?: (error: unknown) => boolean;
}

/** JSON lines on stdout; children carry promptId, attempt, tier. */
export function createLogger(options: LoggerOptions): Logger {
  const { isTold } = options;
  return pino({
    level: options.level,
    base: { name: options.name, pid: process.pid },
    hooks: {
      logMethod(args, method, level) {
        const err = level > DEBUG ? errorOf(args[0]) : undefined;
        if (err !== undefined && isTold?.(err) === true) this.debug(...args);
        else method.apply(this, args);
      },
    },
    redact: {
      paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
      censor: '[redacted]',
    },
  });
}

/** pino's number for it. */
const DEBUG = 20;

function errorOf(logged: unknown): unknown {
  return typeof logged === 'object' && logged !== null && 'err' in logged ? logged.err : undefined;
}
