export { exchangeHttp, HttpBreak, readLimited, type StreamedBody } from './exchange-http.ts';
export {
  type Blame,
  classifyStatus,
  describeNoAnswer,
  type HttpFailure,
  MAX_RETRY_AFTER_MS,
  mayHaveActed,
  parseDuration,
  parseRetryAfter,
} from './http-failures.ts';
