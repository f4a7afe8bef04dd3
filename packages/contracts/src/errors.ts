/**
 * The error catalogue. Every error that leaves a process is one of these; docs/errors.md lists
 * them and a test compares the two. `disposition` says who acts:
 * client = the caller's fault, reported; unavailable = the caller may try again;
 * operator = the start is refused; job = the job ends with execution_error.
 */
export const ERRORS = {
  bad_json: { status: 400, disposition: 'client', summary: 'The body is not JSON.' },
  bad_request: {
    status: 400,
    disposition: 'client',
    summary: 'A field has a value that cannot be used.',
  },
  unauthorized: {
    status: 401,
    disposition: 'client',
    summary: 'No API key or token was sent, or one that is not good.',
  },
  forbidden: {
    status: 403,
    disposition: 'client',
    summary: 'The caller is known, and may not do this.',
  },
  plan_forbids: {
    status: 403,
    disposition: 'client',
    summary: 'The prompt asks for more, or for other nodes, than the plan of the caller allows.',
  },
  path_refused: { status: 403, disposition: 'client', summary: 'A file name leaves its folder.' },
  host_refused: {
    status: 403,
    disposition: 'client',
    summary: 'The Host header is no name of this server.',
  },
  origin_refused: {
    status: 403,
    disposition: 'client',
    summary: 'The request comes from a page of another site.',
  },
  not_found: {
    status: 404,
    disposition: 'client',
    summary: 'The admin API: there is no such plan, tier, pool or job.',
  },
  key_unknown: { status: 404, disposition: 'client', summary: 'There is no API key of this id.' },
  request_timeout: {
    status: 408,
    disposition: 'client',
    summary: 'The request did not arrive whole in time.',
  },
  job_not_pending: {
    status: 409,
    disposition: 'client',
    summary: 'The job does not wait any more, so it has no place to be moved to.',
  },
  job_ambiguous: {
    status: 409,
    disposition: 'client',
    summary: 'Several tenants have a job of this id, and none was named.',
  },
  prompt_id_conflict: {
    status: 409,
    disposition: 'client',
    summary: 'This prompt_id was used before with another body.',
  },
  webhook_invalid: {
    status: 400,
    disposition: 'client',
    summary: 'A webhook, or its secret, cannot be used as it was given.',
  },
  webhook_not_redelivered: {
    status: 409,
    disposition: 'client',
    summary: 'A delivery of a webhook cannot be made again.',
  },
  body_too_large: { status: 413, disposition: 'client', summary: 'The body is over its limit.' },
  prompt_too_large: {
    status: 413,
    disposition: 'client',
    summary: 'The prompt has too many nodes.',
  },
  image_too_large: {
    status: 413,
    disposition: 'client',
    summary: 'The picture has too many pixels.',
  },
  unsupported_encoding: {
    status: 415,
    disposition: 'client',
    summary: 'The Content-Encoding of the body is not known.',
  },
  expectation_failed: {
    status: 417,
    disposition: 'client',
    summary: 'An Expect header asks for more than 100-continue.',
  },
  idempotency_key_reused: {
    status: 422,
    disposition: 'client',
    summary: 'This Idempotency-Key was used before with another body.',
  },
  upgrade_required: {
    status: 426,
    disposition: 'client',
    summary: 'The route is for WebSockets only.',
  },
  queue_full: { status: 429, disposition: 'unavailable', summary: 'Too many jobs are waiting.' },
  too_many_pending: {
    status: 429,
    disposition: 'unavailable',
    summary: 'As many jobs of the caller wait as its plan allows.',
  },
  daily_jobs_used: {
    status: 429,
    disposition: 'unavailable',
    summary: 'As many jobs of the caller were accepted today (UTC) as its plan allows.',
  },
  overloaded: {
    status: 429,
    disposition: 'unavailable',
    summary: 'The service is overloaded and takes no jobs of the caller’s plan now.',
  },
  budget_used: {
    status: 429,
    disposition: 'unavailable',
    summary: 'What the caller may spend in a day or a month (UTC) is spent.',
  },
  headers_too_large: {
    status: 431,
    disposition: 'client',
    summary: 'URL and headers together are too long.',
  },
  server_unreachable: {
    status: 502,
    disposition: 'unavailable',
    summary: 'A proxied page: no ComfyUI server of the pool could be asked.',
  },
  server_late: {
    status: 504,
    disposition: 'unavailable',
    summary: 'A proxied page: the ComfyUI server did not answer in time.',
  },
  too_many_sockets: {
    status: 503,
    disposition: 'unavailable',
    summary: 'Too many sockets are open.',
  },
  pictures_busy: {
    status: 503,
    disposition: 'unavailable',
    summary: 'Too many large pictures are being encoded at once.',
  },
  redis_unavailable: {
    status: 503,
    disposition: 'unavailable',
    summary: 'Redis does not answer now.',
  },
  identity_unavailable: {
    status: 503,
    disposition: 'unavailable',
    summary: 'The OpenID provider cannot be asked for its keys now.',
  },
  storage_unavailable: {
    status: 503,
    disposition: 'unavailable',
    summary: 'The data folder cannot be used now: full, read-only, or failing.',
  },
  no_worker_for_job: {
    status: 400,
    disposition: 'client',
    summary: 'No worker that is known can run the whole prompt for this caller.',
  },
  no_worker_known: {
    status: 503,
    disposition: 'unavailable',
    summary: 'No worker has ever announced its nodes.',
  },
  internal: {
    status: 500,
    disposition: 'client',
    summary: 'An error of ours; the log has the details.',
  },
  config_invalid: {
    status: 0,
    disposition: 'operator',
    summary: 'The configuration has problems; all are listed.',
  },
  redis_not_found: {
    status: 0,
    disposition: 'operator',
    summary: 'No Redis could be found or started.',
  },
  redis_unreachable: { status: 0, disposition: 'operator', summary: 'REDIS_URL does not answer.' },
  port_in_use: { status: 0, disposition: 'operator', summary: 'The port is taken.' },
  node_plugin_invalid: {
    status: 0,
    disposition: 'operator',
    summary: 'A module in NODES_DIR cannot be used.',
  },
  node_failed: { status: 0, disposition: 'job', summary: 'A node raised an error.' },
  node_timeout: { status: 0, disposition: 'job', summary: 'The job ran longer than it may.' },
  graph_invalid: {
    status: 0,
    disposition: 'job',
    summary: 'The graph has a cycle or a link to nowhere.',
  },
  no_tier: {
    status: 0,
    disposition: 'job',
    summary: 'No tier can run this graph, or none could now.',
  },
  over_budget: {
    status: 0,
    disposition: 'job',
    summary: 'No tier could run this job within what is left of the budget of its tenant.',
  },
  content_refused: {
    status: 0,
    disposition: 'job',
    summary: 'An image service refused the content; no other tier is asked.',
  },
  request_rejected: {
    status: 0,
    disposition: 'job',
    summary: 'A backend rejected what the prompt asks for; no other tier is asked.',
  },
  worker_lost: {
    status: 0,
    disposition: 'job',
    summary: 'Workers died while running this job, once too often.',
  },
} as const satisfies Record<
  string,
  { status: number; disposition: 'client' | 'unavailable' | 'operator' | 'job'; summary: string }
>;

export type ErrorCode = keyof typeof ERRORS;

/** An error of the catalogue. `message` may be shown to the caller; `cause` goes to the log only. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;
  /** For programs: `extra_info` of the answer. */
  readonly extraInfo: Readonly<Record<string, string | number>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      retryAfterSeconds?: number;
      extraInfo?: Readonly<Record<string, string | number>>;
    } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = 'AppError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.extraInfo = options.extraInfo ?? {};
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError;
}
