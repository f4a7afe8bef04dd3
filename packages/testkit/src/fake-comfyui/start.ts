import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JsonObject, PromptRejection } from '@tiercel/contracts';
import { makeTempFolder } from '../cleanup.ts';
import { http } from '../raw-http.ts';
import { type ProcessEnd, spawnProcess } from '../spawned-process.ts';
import type { FakeControl, FakeGarbage } from './control.ts';
import type { FakeComfyUiOptions } from './options.ts';
import type { FakeComfyUiState } from './state.ts';

/** A fake ComfyUI in a process of its own. What its controls do: see FakeControl. */
export interface FakeComfyUi {
  /** The same over restarts. */
  readonly url: string;
  /** Holds `input`, `output` and `temp`. */
  readonly folder: string;
  readonly pid: number;
  /** Resolves when the present process has ended, by itself (`dieMidRun`) or killed. */
  readonly exited: Promise<ProcessEnd>;
  /** kill -9, and waits for the end. */
  kill9(): Promise<void>;
  /** Any signal, e.g. SIGSTOP: the kernel still accepts connections, and nobody answers. */
  signal(name: NodeJS.Signals): void;
  /**
   * Starts it again on the same port and folder; a running one is killed before. Files stay, `temp` and
   * the queue do not, history only with `keepHistory`; `options` replace those it was started with.
   */
  restart(change?: {
    readonly keepHistory?: boolean;
    readonly options?: FakeComfyUiOptions;
  }): Promise<void>;
  state(): Promise<FakeComfyUiState>;
  /** Any control; the methods below are the same in other words. */
  control(control: FakeControl): Promise<void>;
  dieMidRun(step: number): Promise<void>;
  dropSocketsSilently(): Promise<void>;
  closeSockets(code?: number): Promise<void>;
  loseHistory(): Promise<void>;
  forgetQueue(): Promise<void>;
  answerSlowly(ms: number, path: string, times?: number): Promise<void>;
  failRoute(
    path: string,
    answer: { readonly status: number; readonly body: string | JsonObject },
    times?: number,
  ): Promise<void>;
  rejectPrompts(rejection: PromptRejection, times?: number): Promise<void>;
  outOfMemory(nodeId?: string): Promise<void>;
  offer(options: FakeComfyUiOptions): Promise<void>;
  sendMessage(type: string, data: JsonObject, to?: string): Promise<void>;
  sendGarbage(what: FakeGarbage, times?: number): Promise<void>;
  hangRoute(path: string, times?: number): Promise<void>;
  pauseExecution(): Promise<void>;
  resume(): Promise<void>;
  swallowPromptAnswer(times?: number): Promise<void>;
  ignoreInterrupts(times: number): Promise<void>;
  duplicateFrames(): Promise<void>;
  reset(): Promise<void>;
}

const MAIN = join(import.meta.dirname, '../../dist/fake-comfyui/main.js');

/** Starts a fake ComfyUI (needs a build); `stopEverything` kills it. */
export async function startFakeComfyUi(options: FakeComfyUiOptions = {}): Promise<FakeComfyUi> {
  const folder = options.folder ?? makeTempFolder();
  const launcher = join(makeTempFolder(), 'fake-comfyui.mjs');
  const spawn = (settings: FakeComfyUiOptions): ReturnType<typeof spawnProcess> => {
    // Only a file can be spawned: it carries the options, so that no environment variable has to.
    const call = `await runFakeComfyUi(${JSON.stringify({ ...settings, folder })});\n`;
    const main = JSON.stringify(pathToFileURL(MAIN).href);
    writeFileSync(launcher, `import { runFakeComfyUi } from ${main};\n${call}`);
    return spawnProcess({ file: launcher });
  };
  let child = await spawn(options);
  const { url } = child;
  const port = Number(new URL(url).port);
  const client = http(url);
  let current = options;

  const control = async (order: FakeControl): Promise<void> => {
    const { status, text } = await client.post('/__control', order);
    if (status !== 200) throw new Error(`the fake ComfyUI refused ${order.action}: ${text}`);
  };
  const often = (times: number | undefined): { times?: number } =>
    times === undefined ? {} : { times };
  return {
    url,
    folder,
    get pid() {
      return child.pid;
    },
    get exited() {
      return child.exited;
    },
    kill9: () => child.kill9(),
    signal: (name) => {
      child.signal(name);
    },
    restart: async ({ keepHistory = false, options: changed } = {}) => {
      await child.kill9();
      current = changed ?? current;
      child = await spawn({ ...current, port, keepsHistory: keepHistory });
    },
    state: async () => {
      const answer = await client.get('/__state');
      return answer.json() as unknown as FakeComfyUiState; // the server wrote it in this shape
    },
    control,
    dieMidRun: (step) => control({ action: 'dieMidRun', step }),
    dropSocketsSilently: () => control({ action: 'dropSocketsSilently' }),
    closeSockets: (code) =>
      control({ action: 'closeSockets', ...(code === undefined ? {} : { code }) }),
    loseHistory: () => control({ action: 'loseHistory' }),
    forgetQueue: () => control({ action: 'forgetQueue' }),
    answerSlowly: (ms, path, times) =>
      control({ action: 'answerSlowly', ms, path, ...often(times) }),
    failRoute: (path, answer, times) =>
      control({ action: 'failRoute', path, ...answer, ...often(times) }),
    rejectPrompts: (rejection, times) =>
      control({ action: 'rejectPrompts', rejection, ...often(times) }),
    offer: (added) => control({ action: 'offer', options: added }),
    sendMessage: (type, data, to) =>
      control({ action: 'sendMessage', type, data, ...(to === undefined ? {} : { to }) }),
    outOfMemory: (nodeId) =>
      control({ action: 'outOfMemory', ...(nodeId === undefined ? {} : { nodeId }) }),
    sendGarbage: (what, times) => control({ action: 'sendGarbage', what, ...often(times) }),
    hangRoute: (path, times) => control({ action: 'hangRoute', path, ...often(times) }),
    pauseExecution: () => control({ action: 'pauseExecution' }),
    resume: () => control({ action: 'resume' }),
    swallowPromptAnswer: (times) => control({ action: 'swallowPromptAnswer', ...often(times) }),
    ignoreInterrupts: (times) => control({ action: 'ignoreInterrupts', times }),
    duplicateFrames: () => control({ action: 'duplicateFrames' }),
    reset: () => control({ action: 'reset' }),
  };
}
