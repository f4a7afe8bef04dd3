import { AppError } from '@tiercel/contracts';
import type { Request } from 'express';
import { callerOf } from '../identity/caller-of.ts';
import { sendJson } from '../http/answer.ts';
import { goneSignal } from '../http/on-closed.ts';
import { readParam, readQuery } from '../http/read-request.ts';
import type { Route } from '../http/route.ts';
import { EventStream, type EventStreamParts } from './event-stream.ts';

const KEEP_ALIVE_MS = 15_000;
const STREAM_ID = /^\d{1,15}-\d{1,15}\.\d{1,6}$/;

export interface EventsDependencies extends EventStreamParts {
  readonly maxStreams: number;
}

/**
 * GET /api/jobs/{id}/events: a job's events as server-sent events, for scripts. Replays what is kept
 * after Last-Event-ID (or from the start), then follows until the job has ended (`executing` with node null).
 */
export function createEventsRoutes(deps: EventsDependencies): Route[] {
  const { subscriber, maxStreams } = deps;
  let open = 0;
  return [
    {
      method: 'GET',
      path: '/jobs/:jobId/events',
      prefix: 'api',
      async handle(req, res) {
        // Told of the caller's leaving from the start: it may leave during any of the awaits below.
        const gone = goneSignal(res);
        const isGone = () => gone.aborted; // asked again after each await
        const { tenant } = callerOf(res);
        const reader = deps.reader.of(tenant);
        const id = readParam(req, 'jobId');
        if ((await reader.readState(id)) === undefined) {
          sendJson(res, { error: 'Job not found' }, 404);
          return;
        }
        if (isGone()) return;
        if (open >= maxStreams) {
          throw new AppError('too_many_sockets', 'Too many event streams are open.', {
            retryAfterSeconds: 5,
          });
        }
        open += 1;
        const stream = new EventStream(
          res,
          { id, lastId: readLastEventId(req) },
          {
            ...{ ...deps, reader },
            replay: deps.replay.of(tenant),
          },
        );
        const stopGaps = subscriber.onGap(stream);
        const keepAlive = setInterval(() => {
          stream.comment('still here');
        }, KEEP_ALIVE_MS);
        gone.addEventListener('abort', () => {
          open -= 1;
          stopGaps();
          clearInterval(keepAlive);
        });
        const stopListening = await subscriber.listenToJob(id, stream, tenant);
        if (isGone()) stopListening();
        else {
          gone.addEventListener('abort', stopListening);
          await stream.catchUp();
        }
      },
    },
  ];
}

function readLastEventId(req: Request): string | undefined {
  const given = req.headers['last-event-id'] ?? readQuery(req).get('last_event_id');
  return typeof given === 'string' && STREAM_ID.test(given) ? given : undefined;
}
