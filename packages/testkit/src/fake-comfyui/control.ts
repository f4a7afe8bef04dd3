import { isJsonObject, type JsonObject, type PromptRejection } from '@tiercel/contracts';
import { answerWith, type RouteEffect } from './faults.ts';
import type { FakeComfyUiOptions } from './options.ts';
import type { FakeWorld } from './world.ts';

/**
 * An order to the fake, as POST /__control takes it. `path` is a regular expression for
 * `METHOD /path?query` without `/api`; `times` defaults to "from now on".
 */
export type FakeControl =
  /** Ends as by kill -9 when the next job has told that many steps of progress (or all it has). */
  | { readonly action: 'dieMidRun'; readonly step: number }
  /** The present sockets stay open and say and hear nothing more. */
  | { readonly action: 'dropSocketsSilently' }
  /** Cuts every socket, or closes it with a code. */
  | { readonly action: 'closeSockets'; readonly code?: number }
  | { readonly action: 'loseHistory' }
  /** Everything pending and running is gone, as after a restart. */
  | { readonly action: 'forgetQueue' }
  /** Done at once, answered after `ms`. */
  | {
      readonly action: 'answerSlowly';
      readonly ms: number;
      readonly path: string;
      readonly times?: number;
    }
  /** Not done. A body that is no string is sent as JSON. */
  | {
      readonly action: 'failRoute';
      readonly path: string;
      readonly status: number;
      readonly body: string | JsonObject;
      readonly times?: number;
    }
  | {
      readonly action: 'rejectPrompts';
      readonly rejection: PromptRejection;
      readonly times?: number;
    }
  /** The next job (or the next that has this node) fails there. */
  | { readonly action: 'outOfMemory'; readonly nodeId?: string }
  | { readonly action: 'sendGarbage'; readonly what: FakeGarbage; readonly times?: number }
  | { readonly action: 'hangRoute'; readonly path: string; readonly times?: number }
  /** Nothing starts and nothing goes on; interrupts still work. */
  | { readonly action: 'pauseExecution' }
  | { readonly action: 'resume' }
  /** Takes the prompt, and ends the connection without an answer. */
  | { readonly action: 'swallowPromptAnswer'; readonly times?: number }
  /** Interrupts of a running prompt are answered and lost, as in ComfyUI's race with its start. */
  | { readonly action: 'ignoreInterrupts'; readonly times: number }
  | { readonly action: 'duplicateFrames' }
  /** From now on it has this too: models, classes (`extraClasses`), and what else options say it offers. */
  | { readonly action: 'offer'; readonly options: FakeComfyUiOptions }
  /** A message to all its sockets, or to those of one client id, as an extension sends it at any time. */
  | {
      readonly action: 'sendMessage';
      readonly type: string;
      readonly data: JsonObject;
      readonly to?: string;
    }
  /** No more faults. What was lost stays lost; silenced sockets are cut. */
  | { readonly action: 'reset' };

/**
 * `text`, `binary`: unreadable frames, at once, to all. `html`: POST /prompt answers 200 with a page.
 * `truncated`: half a body, then the connection ends (`path`, default all).
 */
export type FakeGarbage =
  | { readonly kind: 'text' | 'binary' | 'html' }
  | { readonly kind: 'truncated'; readonly path?: string };

const POST_PROMPT = '^POST /prompt$';
const PAGE: RouteEffect = {
  kind: 'answer',
  status: 200,
  contentType: 'text/html',
  body: '<html><body>Welcome to the hotel network. Please log in.</body></html>',
};

/** @throws Error for an unknown action */
export function applyControl(world: FakeWorld, control: FakeControl): void {
  const { faults, sockets } = world;
  switch (control.action) {
    case 'dieMidRun':
      faults.setDeath(control.step);
      return;
    case 'dropSocketsSilently':
      sockets.silence();
      return;
    case 'closeSockets':
      sockets.closeAll(control.code);
      return;
    case 'loseHistory':
      world.history.lose();
      return;
    case 'forgetQueue':
      world.queue.forget();
      return;
    case 'answerSlowly':
      faults.addRoute(control.path, { kind: 'slow', ms: control.ms }, control.times);
      return;
    case 'failRoute':
      faults.addRoute(control.path, answerWith(control.status, control.body), control.times);
      return;
    case 'rejectPrompts': {
      const { error, node_errors } = control.rejection;
      const body = JSON.parse(JSON.stringify({ error, node_errors })) as JsonObject;
      faults.addRoute(POST_PROMPT, answerWith(400, body), control.times);
      return;
    }
    case 'outOfMemory':
      faults.setOutOfMemory(control.nodeId);
      return;
    case 'sendGarbage':
      sendGarbage(world, control.what, control.times);
      return;
    case 'hangRoute':
      faults.addRoute(control.path, { kind: 'hang' }, control.times);
      return;
    case 'pauseExecution':
      faults.isPaused = true;
      return;
    case 'resume':
      faults.isPaused = false;
      return;
    case 'swallowPromptAnswer':
      faults.addRoute(POST_PROMPT, { kind: 'swallow' }, control.times ?? 1);
      return;
    case 'ignoreInterrupts':
      faults.ignoreInterrupts(control.times);
      return;
    case 'duplicateFrames':
      sockets.duplicates = true;
      return;
    case 'offer':
      Object.assign(world.settings, control.options);
      return;
    case 'sendMessage':
      sockets.send(control.type, control.data, control.to);
      return;
    case 'reset':
      faults.reset();
      sockets.restore();
      return;
    default:
      throw new Error(`no such action: ${JSON.stringify(control)}`);
  }
}

function sendGarbage({ faults, sockets }: FakeWorld, what: FakeGarbage, times?: number): void {
  switch (what.kind) {
    case 'html':
      faults.addRoute(POST_PROMPT, PAGE, times);
      return;
    case 'truncated':
      faults.addRoute(what.path ?? '', { kind: 'truncate' }, times);
      return;
    default:
      sockets.sendGarbage(what.kind);
  }
}

/** What came over HTTP is an order; only this package's own client sends them. */
export function isControl(value: unknown): value is FakeControl {
  return isJsonObject(value as JsonObject) && typeof (value as JsonObject).action === 'string';
}
