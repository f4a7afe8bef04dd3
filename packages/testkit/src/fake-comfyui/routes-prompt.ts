import { randomUUID } from 'node:crypto';
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '@tiercel/contracts';
import { json, serverError, type Answer } from './answer.ts';
import { str } from './python-text.ts';
import { route, type Route } from './router.ts';
import { reject, validatePrompt } from './validate-prompt.ts';
import type { FakeWorld } from './world.ts';

const CANONICAL_UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** GET and POST /prompt (wire 6). */
export function promptRoutes(world: FakeWorld): Route[] {
  let counter = 0;
  const takeNumber = (body: JsonObject): number => {
    if (body.number !== undefined) return Number(body.number);
    counter += 1; // rejected prompts count too
    return body.front === true ? 0 - (counter - 1) : counter - 1;
  };
  return [
    route('GET', /^\/prompt$/, () =>
      json({ exec_info: { queue_remaining: world.queue.remaining } }),
    ),
    route('POST', /^\/prompt$/, (request) => {
      let body: JsonValue;
      try {
        body = parseJson(request.body.toString());
      } catch {
        return serverError();
      }
      if (typeof body !== 'object' || body === null) return serverError();
      return submit(world, isJsonObject(body) ? body : {}, takeNumber);
    }),
  ];
}

function submit(
  world: FakeWorld,
  body: JsonObject,
  takeNumber: (body: JsonObject) => number,
): Answer {
  const number = takeNumber(body);
  const given = body.prompt_id;
  const promptId = given === undefined || given === null ? randomUUID() : str(given);
  const clientId = typeof body.client_id === 'string' ? body.client_id : null;
  const record = (isAccepted: boolean): void => {
    world.journal.record({
      kind: 'prompt',
      prompt: { promptId, clientId, number, isAccepted, body },
    });
  };
  if (world.settings.requiresUuid && !CANONICAL_UUID.test(promptId)) {
    record(false);
    const details =
      'prompt_id must be a UUID string in canonical lowercase hyphenated form; ' +
      'omit it to let the server generate one';
    return json(reject('invalid_prompt_id', 'prompt_id must be a valid UUID', details), 400);
  }
  const { prompt, partial_execution_targets: targets } = body;
  if (prompt === undefined) {
    record(false);
    return json(reject('no_prompt', 'No prompt provided', 'No prompt provided'), 400);
  }
  if (!isJsonObject(prompt)) return serverError();
  const verdict = validatePrompt(prompt, Array.isArray(targets) ? targets : undefined, {
    find: (name) => world.catalogue.find(name),
    files: world.files,
  });
  record(verdict.ok);
  if (!verdict.ok) return json(verdict.rejection, 400);
  const client = body.client_id === undefined ? {} : { client_id: body.client_id };
  const extra = isJsonObject(body.extra_data) ? body.extra_data : {};
  const extraData = { ...extra, ...client };
  world.queue.put({ number, promptId, prompt: verdict.graph, extraData, outputs: verdict.outputs });
  return json({ prompt_id: promptId, number, node_errors: verdict.nodeErrors });
}
