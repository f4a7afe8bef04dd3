import type { JsonValue } from '@tiercel/contracts';

export type RouteEffect =
  /** Done as asked, answered late. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Not done, answered like this. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
    }
  /** Not done, never answered. */
  | { readonly kind: 'hang' }
  /** Done; half of the answer is sent, then the connection ends. */
  | { readonly kind: 'truncate' }
  /** Done; the connection ends without an answer. */
  | { readonly kind: 'swallow' };

interface RouteFault {
  readonly pattern: RegExp;
  readonly effect: RouteEffect;
  times: number;
}

/** What is wrong with the server at the moment. */
export class Faults {
  #routes: RouteFault[] = [];
  #dieAtStep: number | undefined;
  #outOfMemory: { readonly nodeId: string | undefined } | undefined;
  #ignoredInterrupts = 0;
  isPaused = false;

  /** @param pattern a regular expression for `METHOD /path?query`, the path without `/api` */
  addRoute(pattern: string, effect: RouteEffect, times = Infinity): void {
    this.#routes.push({ pattern: new RegExp(pattern), effect, times });
  }

  /** What is to happen to that request; counts as one time. The latest fault wins. */
  takeRoute(request: string): RouteEffect | undefined {
    const fault = this.#routes.findLast(({ pattern, times }) => times > 0 && pattern.test(request));
    if (fault === undefined) return undefined;
    fault.times -= 1;
    return fault.effect;
  }

  setDeath(step: number): void {
    this.#dieAtStep = step;
  }

  /** Whether the server dies at that step of the run. `end`: all its steps are done. */
  takeDeath(step: number | 'end'): boolean {
    if (this.#dieAtStep === undefined) return false;
    if (step !== 'end' && step < this.#dieAtStep) return false;
    this.#dieAtStep = undefined;
    return true;
  }

  setOutOfMemory(nodeId: string | undefined): void {
    this.#outOfMemory = { nodeId };
  }

  takeOutOfMemory(nodeId: string): boolean {
    if (this.#outOfMemory === undefined) return false;
    if (this.#outOfMemory.nodeId !== undefined && this.#outOfMemory.nodeId !== nodeId) return false;
    this.#outOfMemory = undefined;
    return true;
  }

  ignoreInterrupts(times: number): void {
    this.#ignoredInterrupts = times;
  }

  takeIgnoredInterrupt(): boolean {
    if (this.#ignoredInterrupts <= 0) return false;
    this.#ignoredInterrupts -= 1;
    return true;
  }

  reset(): void {
    this.#routes = [];
    this.#dieAtStep = undefined;
    this.#outOfMemory = undefined;
    this.#ignoredInterrupts = 0;
    this.isPaused = false;
  }
}

export function answerWith(status: number, body: JsonValue): RouteEffect {
  const isText = typeof body === 'string';
  return {
    kind: 'answer',
    status,
    contentType: isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8',
    body: isText ? body : JSON.stringify(body),
  };
}
