import { isJsonObject, parseJson, type JsonObject } from '@tiercel/contracts';
import { empty, json, serverError } from './answer.ts';
import { str } from './python-text.ts';
import { route, type FakeRequest, type Route } from './router.ts';
import type { FakeWorld } from './world.ts';

/** The queue, history, interrupts and memory (wire 7). */
export function queueRoutes({ queue, history, journal, executor }: FakeWorld): Route[] {
  return [
    route('GET', /^\/queue$/, () => json(queue.describe())),
    route('POST', /^\/queue$/, (request) => {
      const body = readBody(request);
      if (body === undefined) return serverError();
      const { ids, isClear } = readEdit(body);
      if (isClear) {
        journal.record({ kind: 'queue-delete', ids: 'clear' });
        queue.clear();
      }
      if (ids !== undefined) {
        journal.record({ kind: 'queue-delete', ids });
        queue.delete(ids);
      }
      return empty();
    }),
    route('POST', /^\/interrupt$/, (request) => {
      const named = readBody(request)?.prompt_id;
      const promptId = typeof named === 'string' && named !== '' ? named : undefined;
      journal.record({ kind: 'interrupt', promptId: promptId ?? null });
      queue.interrupt(promptId);
      return empty();
    }),
    route('GET', /^\/history$/, ({ query }) => {
      const maxItems = readInteger(query.get('max_items'));
      const offset = readInteger(query.get('offset'));
      if (Number.isNaN(maxItems) || Number.isNaN(offset)) return serverError();
      return json(history.page({ maxItems, offset }));
    }),
    route('GET', /^\/history\/([^/]+)$/, (_, [promptId = '']) => json(history.one(promptId))),
    route('POST', /^\/history$/, (request) => {
      const body = readBody(request);
      if (body === undefined) return serverError();
      const { ids, isClear } = readEdit(body);
      if (isClear) history.delete('clear');
      if (ids !== undefined) history.delete(ids);
      return empty();
    }),
    route('POST', /^\/free$/, (request) => {
      const body = readBody(request);
      if (body === undefined) return serverError();
      journal.record({ kind: 'free', body });
      if (body.unload_models === true || body.free_memory === true) executor.freeMemory();
      return empty();
    }),
  ];
}

/** undefined: not a JSON object. */
function readBody({ body }: FakeRequest): JsonObject | undefined {
  try {
    const value = parseJson(body.toString());
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readEdit(body: JsonObject): { ids: string[] | undefined; isClear: boolean } {
  const ids = Array.isArray(body.delete) ? body.delete.map((id) => str(id)) : undefined;
  return { ids, isClear: body.clear === true };
}

/** NaN: not an integer. */
function readInteger(text: string | null): number | undefined {
  if (text === null) return undefined;
  return /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : NaN;
}
