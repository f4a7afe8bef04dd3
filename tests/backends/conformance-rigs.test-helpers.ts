import { randomUUID } from 'node:crypto';
import { type ComfyUiBackend, createComfyUiBackend } from '@tiercel/comfyui';
import { createServiceBackend, type ImageService } from '@tiercel/image-services';
import {
  createBuiltinNodes,
  createEmbeddedBackend,
  createRegistry,
  NodeCache,
} from '@tiercel/nodes';
import { MemoryBudget } from '@tiercel/pictures';
import type { Backend } from '@tiercel/routing';
import { createLogger, type Redis, systemClock } from '@tiercel/runtime';
import { expectedClass, until, type Expectation } from '@tiercel/testkit';
import { MemoryFiles, type Place } from './conformance-job.test-helpers.ts';

/** The secret of every rig, in whatever form its vendor wants one. */
export const KEY = 'key-that-stays-secret';

/** Troubles that show how a backend as a whole deals with them; the names are those of the fake services. */
const FAULTS = [
  ...(['error', 'text', 'truncated_image', 'black_image'] as const),
  ...(['wrong_size', 'out_of_memory'] as const),
];
type Fault = (typeof FAULTS)[number];

/** What is behind a backend, and can be made to fail. */
interface Vendor {
  /** Jobs or pictures it was asked for so far. */
  asked(): Promise<number>;
  isAtWork(): Promise<boolean>;
  /** From now on its work takes longer than any test. */
  slowDown(): Promise<void>;
  /** It keeps what it has and is heard of no more. */
  hang(): Promise<void>;
  fail(fault: Fault, times?: number): Promise<void>;
  recover(): Promise<void>;
}

/** A backend that works, what it stores in, and what is behind it. */
export interface Bench extends Place {
  /** undefined: nothing outside this process. */
  readonly vendor: Vendor | undefined;
}

/** A driver, and where it differs from the others for good reason. */
export interface Rig {
  readonly name: string;
  open(): Promise<Bench>;
  /** Its backend for a vendor at some other address; undefined: it has no vendor. */
  readonly openAt: ((url: string) => Place) | undefined;
  readonly init:
    | 'shown'
    /** The fake's pictures depend on nothing but the seed. */
    | 'unseen'
    /** The vendor's API takes none. */
    | 'refused';
  /** A ComfyUI server runs every class that it has. */
  readonly runsLora: boolean;
  /** Files of ComfyUI servers and of this process are not claimed before they are stored. */
  readonly claims: boolean;
  /** Asks for less at once when the vendor has too little memory. */
  readonly splits: boolean;
  /** What can happen to its vendor, and what it makes of it. */
  readonly faults: readonly { readonly fault: Fault; readonly expected: Expectation | undefined }[];
}

/** What a rig uses of a fake service of the testkit. */
export interface ServiceServer {
  readonly url: string;
  readonly state: () => {
    readonly counts: { readonly pictures: number; readonly running: number };
  };
  readonly setFault: (
    fault: { readonly name: Fault | 'hang'; readonly times?: number } | undefined,
  ) => void;
  readonly setLatency: (latencyMs: number) => void;
}

/** What a rig uses of the testkit's fake ComfyUI. */
export interface ComfyServer {
  readonly url: string;
  state(): Promise<{ readonly prompts: readonly unknown[]; readonly sockets: readonly string[] }>;
  signal(name: 'SIGSTOP'): void;
  failRoute(path: string, answer: { status: number; body: string }): Promise<void>;
  sendGarbage(what: { kind: 'html' } | { kind: 'truncated'; path: string }): Promise<void>;
  outOfMemory(): Promise<void>;
  reset(): Promise<void>;
}

const LONG_MS = 600_000;
const TIMEOUT_MS = 60_000;
const registry = createRegistry(createBuiltinNodes());

function createExecutor(files: MemoryFiles) {
  const cache = new NodeCache({ maxBytes: 64 * 1024 * 1024 });
  const memory = new MemoryBudget({
    ...{ maxBytes: 2 ** 30, commonShare: 3 / 8 },
    setting: 'worker.pictureMemoryBytes',
  });
  return {
    registry,
    cache,
    filesOf: () => files,
    memory,
    maxPixels: 16_777_216,
    timeoutMs: TIMEOUT_MS,
  };
}

/** @param isRendering whether the vendor still works on what nobody waits for */
export function serviceRig(parts: {
  readonly name: string;
  readonly start: () => Promise<ServiceServer>;
  readonly create: (url: string) => ImageService;
  readonly takesInit?: boolean;
  readonly splits?: boolean;
  readonly isRendering?: (url: string) => Promise<boolean>;
}): Rig {
  const { name, start, create, takesInit = false, splits = false, isRendering } = parts;
  const openAt = (url: string): Place => {
    const files = new MemoryFiles();
    const backend = createServiceBackend({
      ...createExecutor(files),
      ...{ name: `my ${name}`, driver: name, service: create(url), mayOmit: new Set() },
      ...{ cacheModel: undefined, checkpoints: undefined },
    });
    return { backend, files, close: () => undefined };
  };
  const does = (act: () => void) => () => {
    act();
    return Promise.resolve();
  };
  return {
    ...{ name, openAt, splits, init: takesInit ? 'shown' : 'refused' },
    ...{ runsLora: false, claims: true },
    open: async () => {
      const fake = await start();
      const vendor: Vendor = {
        asked: () => Promise.resolve(fake.state().counts.pictures),
        isAtWork: async () =>
          fake.state().counts.running > 0 || (await isRendering?.(fake.url)) === true,
        slowDown: does(() => {
          fake.setLatency(LONG_MS);
        }),
        hang: does(() => {
          fake.setFault({ name: 'hang' });
        }),
        fail: (fault, times) => {
          fake.setFault(times === undefined ? { name: fault } : { name: fault, times });
          return Promise.resolve();
        },
        recover: does(() => {
          fake.setFault(undefined);
          fake.setLatency(0);
        }),
      };
      return { ...openAt(fake.url), vendor };
    },
    faults: FAULTS.map((fault) => {
      // The driver hands the file on; the backend looks at it.
      const isPicture = fault === 'truncated_image' || fault === 'black_image';
      return { fault, expected: isPicture ? 'bad_output' : expectedClass(name, fault) };
    }),
  };
}

/** It paints its sizes itself, and its files may be of any kind and colour: they are not looked into. */
const COMFY_FAULTS: Rig['faults'] = [
  { fault: 'error', expected: 'server' },
  { fault: 'text', expected: 'bad_output' },
  // Half of the answer.
  { fault: 'truncated_image', expected: 'bad_output' },
  { fault: 'out_of_memory', expected: 'capacity' },
];

interface OpenComfyBackend extends Place {
  readonly backend: ComfyUiBackend;
}

export function comfyRig(start: () => Promise<ComfyServer>, redis: () => Redis): Rig {
  const openAt = (url: string): OpenComfyBackend => {
    const files = new MemoryFiles();
    const address = new URL(url);
    [address.username, address.password] = ['me', KEY];
    const backend = createComfyUiBackend({
      ...{ name: 'my comfyui', urls: [address.href], timeoutMs: TIMEOUT_MS, filesOf: () => files },
      ...{ redis: redis(), clock: systemClock, unavailableMs: TIMEOUT_MS },
      log: createLogger({ level: 'silent', name: 'test' }),
      clientId: `test-${randomUUID()}`,
      secretKey: Buffer.alloc(32),
      prefix: `test-${randomUUID()}`,
      run: { checkMs: TIMEOUT_MS, lostAfterMs: TIMEOUT_MS },
    });
    return {
      ...{ backend, files },
      close: () => {
        backend.close();
      },
    };
  };
  return {
    ...{ name: 'comfyui', openAt, init: 'unseen', runsLora: true, claims: false, splits: false },
    open: async () => {
      const fake = await start();
      const place = openAt(fake.url);
      await place.backend.ready();
      // Frames come to sockets that were there before their prompt.
      await until(async () => (await fake.state()).sockets.length > 0);
      const vendor: Vendor = {
        asked: async () => (await fake.state()).prompts.length,
        isAtWork: async () => {
          const answer = await fetch(`${fake.url}/queue`);
          return /\[\s*\[/.test(await answer.text());
        },
        // Prompts of many steps are slow enough.
        slowDown: () => Promise.resolve(),
        hang: () => {
          fake.signal('SIGSTOP');
          return Promise.resolve();
        },
        fail: (fault) => failComfy(fake, fault),
        recover: () => fake.reset(),
      };
      return { ...place, vendor };
    },
    faults: COMFY_FAULTS,
  };
}

function failComfy(fake: ComfyServer, fault: Fault): Promise<void> {
  switch (fault) {
    case 'error':
      return fake.failRoute('^POST /prompt', { status: 500, body: 'Traceback (most recent call)' });
    case 'text':
      return fake.sendGarbage({ kind: 'html' });
    case 'truncated_image':
      return fake.sendGarbage({ kind: 'truncated', path: '^GET /view' });
    case 'out_of_memory':
      return fake.outOfMemory();
    case 'black_image':
    case 'wrong_size':
      throw new Error(`no such fault of ComfyUI: ${fault}`);
  }
}

/** Sketches in this process: there is no vendor that could fail. */
export const embeddedRig: Rig = {
  ...{ name: 'embedded', openAt: undefined, init: 'shown', runsLora: true, claims: false },
  splits: false,
  open: () => {
    const files = new MemoryFiles();
    const options = { ...createExecutor(files), name: 'my embedded', sketches: true };
    const backend: Backend = createEmbeddedBackend(options);
    return Promise.resolve({ backend, files, vendor: undefined, close: () => undefined });
  },
  faults: [],
};
