import { SECRET_MEMBERS } from '@tiercel/contracts';
import { destination, pino, type Logger } from 'pino';
import { describeError } from './describe-error.ts';
import { createSecretMask } from './secret-mask.ts';

export type { Logger };

/** Wherever these names turn up in a logged object, the value is not written. */
const SECRET_NAMES = [
  ...['apiKey', 'token', 'password', 'secret', 'authorization', 'cookie', 'secrets', 'secretsText'],
  ...SECRET_MEMBERS,
];

/** `scheme://user:password@` of any URL. */
const URL_LOGIN = /([a-z][a-z\d+.-]*:\/\/)[^\s/?#@"'<>]+@/gi;

export interface LoggerOptions {
  readonly level: string;
  readonly name: string;
  /** Values that are never written, whatever they are part of. */
  readonly secrets?: readonly string[];
  /** Asked of each logged `err`: whether it is told elsewhere already, so that here it is worth a debug line only. */
  readonly isLogged?: (error: unknown) => boolean;
}

/**
 * JSON lines on stdout; children carry promptId, attempt, tier.
 *
 * Nothing secret is in them: an error is described by its known-safe members, whichever member of the logged object
 * it is; and each line is looked through for the secrets of the configuration and for logins in URLs.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { isLogged } = options;
  const mask = createSecretMask(options.secrets ?? [], SECRET_NAMES);
  const describe = (value: unknown): unknown =>
    value instanceof Error ? describeError(value, mask) : value;
  const stdout = destination({ fd: 1, sync: true });
  const write = (line: string): void => {
    // A line is JSON of our own making, with numbers that a double holds.
    const masked: unknown = mask.value(JSON.parse(line));
    stdout.write(`${JSON.stringify(masked).replace(URL_LOGIN, '$1[redacted]@')}\n`);
  };
  return pino(
    {
      level: options.level,
      base: { name: options.name, pid: process.pid },
      hooks: {
        logMethod(args, method, level) {
          const err = level > DEBUG ? errorOf(args[0]) : undefined;
          if (err !== undefined && isLogged?.(err) === true) this.debug(...args);
          else method.apply(this, args);
        },
      },
      serializers: { err: (error: unknown) => describeError(error, mask) },
      formatters: {
        log: (fields) =>
          Object.fromEntries(
            Object.entries(fields).map(([name, value]) => [
              name,
              name === 'err' ? value : describe(value),
            ]),
          ),
      },
    },
    { write },
  );
}

/** pino's number for it. */
const DEBUG = 20;

function errorOf(logged: unknown): unknown {
  return typeof logged === 'object' && logged !== null && 'err' in logged ? logged.err : undefined;
}
