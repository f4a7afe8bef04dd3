import { AttemptError } from '@tiercel/routing';
import type { HttpFailure } from '@tiercel/upstream-http';

/**
 * A call to a ComfyUI server that came to nothing. Callers see the message: it names the route, never the host, which
 * is for the log.
 */
export class ComfyRequestError extends AttemptError {
  readonly host: string;
  /** What the server answered; undefined when no answer came. */
  readonly status: number | undefined;
  /** The request may have reached the server, which may have done it: look there before asking again. */
  readonly uncertain: boolean;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(host: string, failure: HttpFailure, options?: ErrorOptions) {
    super(failure.class, `a server of the pool ${failure.what}`, {
      ...options,
      retryAtMs: failure.retryAfterMs === undefined ? undefined : Date.now() + failure.retryAfterMs,
    });
    this.name = 'ComfyRequestError';
    this.host = host;
    this.status = failure.status;
    this.uncertain = failure.uncertain;
    this.retryAfterMs = failure.retryAfterMs;
  }
}
