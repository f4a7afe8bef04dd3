import { DEFAULT_TENANT } from '@tiercel/contracts';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from '@jest/globals';
import type { RefreshScope } from '@tiercel/contracts';
import {
  makeTempFolder,
  pngWithTexts,
  startTestRedis,
  stopEverything,
  type TestRedis,
} from '@tiercel/testkit';
import { build } from 'esbuild';
import {
  registerWorker,
  log,
  nodeClass,
  openRegistry,
  type RegistryParts,
} from '../catalogue.test-helpers.ts';
import type { Catalogue } from '../catalogue.ts';
import { BodyExaminer } from './body-examiner.ts';
import type { ExaminedPrompt } from './examine-prompt.ts';
import type { LongText } from './long-text.ts';
import type { Body } from './read-blocks.ts';

const SEED = '18446744073709551615';

let server: TestRedis;
let parts: RegistryParts;
let catalogue: Catalogue;
let threadUrl: URL;
let examiner: BodyExaminer;
/** What the servers were looked at for, and what such a look finds. */
const refreshed: RefreshScope[] = [];
let look: () => Promise<boolean>;

beforeAll(async () => {
  // Threads run what Node can load: the same program as the built one, from the sources.
  const outfile = join(makeTempFolder(), 'json-thread.cjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./json-thread.ts', import.meta.url))],
    ...{ bundle: true, platform: 'node', format: 'cjs', conditions: ['source'], outfile },
    ...{ target: 'node20', logLevel: 'silent' },
    // It has a library that no bundle can hold; the bundle lies where it would not be found.
    plugins: [
      {
        name: 'sharp from here',
        setup(bundle) {
          const path = createRequire(import.meta.url).resolve('sharp');
          bundle.onResolve({ filter: /^sharp$/ }, () => ({ path, external: true }));
        },
      },
    ],
  });
  threadUrl = pathToFileURL(outfile);
  server = await startTestRedis();
  parts = openRegistry(server.url);
});
beforeEach(async () => {
  await server.flush();
  refreshed.length = 0;
  look = () => Promise.resolve(false);
  await register(['Known']);
  catalogue = await parts.startCatalogue();
  examiner = create(threadUrl);
});
afterEach(async () => {
  catalogue.stop();
  await examiner.stop();
});
afterAll(async () => {
  parts.close();
  await stopEverything();
});

function create(url: URL): BodyExaminer {
  return new BodyExaminer({
    ...{ catalogue, log },
    serverRefresh: {
      ask: (wish) => {
        refreshed.push(wish);
        return look();
      },
    },
    fileExists: () => Promise.resolve(false),
    data: { dataDir: makeTempFolder(), maxNodes: 3, maxValues: 1_000, era: 'newest' },
    threadUrl: url,
  });
}

/** A program for the thread that fails at whatever it is asked. */
function writeBrokenThread(): URL {
  const program = join(makeTempFolder(), 'broken.cjs');
  const fail = `() => { throw new Error('broken'); }`;
  writeFileSync(program, `require('node:worker_threads').parentPort.on('message', ${fail});`);
  return pathToFileURL(program);
}

/** Classes with one input, an integer, whose nodes may end a graph. */
function register(classes: readonly string[]): Promise<void> {
  const texts = classes.map((name) =>
    nodeClass(name, `{"seed":["INT",{"max":${SEED}}]}`).replace(
      '"output_node":false',
      '"output_node":true',
    ),
  );
  return registerWorker(parts.registry, `w-${classes.join('-')}`, texts);
}

const FORMS = ['small', 'large'] as const;
type Form = (typeof FORMS)[number];

/** A body as it is handed on; a large one in blocks, cut in the middle of whatever it is. */
function bodyOf(text: string, form: Form): Body {
  const bytes = Buffer.from(text);
  if (form === 'small') return { kind: 'small', bytes };
  const half = Math.floor(bytes.length / 2);
  const blocks = [bytes.subarray(0, half), bytes.subarray(half)].map(
    (part) => new Uint8Array(part),
  );
  return { kind: 'large', blocks };
}

const node = (className: string, seed = SEED) =>
  `{"class_type":"${className}","inputs":{"seed":${seed}}}`;
const textOf = (text: LongText) => (typeof text === 'string' ? text : Buffer.from(text).toString());

/** The same, whichever thread it comes from. */
function plain(examined: ExaminedPrompt) {
  return examined.kind === 'rejected'
    ? { ...examined, rejectionText: textOf(examined.rejectionText) }
    : {
        ...examined,
        ...{ promptText: textOf(examined.promptText), extraText: textOf(examined.extraText) },
      };
}

const requestOf = (usageSource?: string) => ({
  ...{ contentType: undefined, usageSource, tenant: DEFAULT_TENANT, areWorkersAlike: true },
});
const examine = async (text: string, form: Form) =>
  plain(await examiner.examinePrompt(bodyOf(text, form), requestOf('a-program')));

describe.each(FORMS)('a %s prompt', (form) => {
  test('is read to the last digit and letter', async () => {
    const pad = '猫😀'.repeat(40_000);
    const text = `{"prompt_id":"mine","client_id":"me","front":true,"prompt":{"1":${node('Known')}},"extra_data":{"pad":"${pad}"}}`;
    const examined = await examine(text, form);
    expect(examined).toMatchObject({
      ...{ kind: 'valid', identity: { id: 'mine', isOwnId: true } },
      ...{ front: true, clientId: 'me', outputIds: ['1'], nodeErrorsText: '{}' },
      promptText: `{"1":${node('Known')}}`,
    });
    if (examined.kind !== 'valid') throw new Error('not valid');
    expect(JSON.parse(examined.extraText)).toMatchObject({ pad, client_id: 'me' });
    expect(refreshed).toEqual([]);
  });

  test.each([
    ['bad_json', '{"prompt":'],
    ['bad_json', '{"prompt":{}}}'],
    ['bad_request', `{"prompt":{},"number":"many"}`],
    ['prompt_too_large', `{"prompt":{${[1, 2, 3, 4].map((id) => `"${id}":{}`).join(',')}}}`],
    ['body_too_large', `{"prompt":{},"more":[${'0,'.repeat(1_000)}0]}`],
  ])('is refused as %s, with the words for it: %s', async (code, text) => {
    const refusal = await examine(text, form).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code, message: expect.stringMatching(/\w{3}/) });
  });

  test('of a class that nobody knows is rejected, after one more look at the servers', async () => {
    look = () => Promise.resolve(true);
    const examined = await examine(`{"prompt":{"1":${node('Unknown')}}}`, form);
    expect(examined).toMatchObject({ kind: 'rejected', isNumbered: false });
    if (examined.kind !== 'rejected') throw new Error('not rejected');
    expect(examined.rejectionText).toContain('Unknown');
    expect(refreshed).toEqual([['Unknown']]);
  });

  test('of a class that the look finds is valid', async () => {
    look = async () => {
      const read = new Promise<void>((resolve) => catalogue.onReading(resolve));
      await register(['New']);
      await read;
      return true;
    };
    const examined = await examine(`{"prompt":{"1":${node('New')}}}`, form);
    expect(examined.kind).toBe('valid');
  });
});

test.each([
  ['a prompt', `{"prompt_id":"p","prompt":{"1":${node('Known')}}}`],
  ['one that is rejected', `{"prompt_id":"p","number":1,"prompt":{"1":${node('Unknown')}}}`],
  ['one whose value does not fit', `{"prompt_id":"p","prompt":{"1":${node('Known', '"x"')}}}`],
  ['one without a prompt', '{"client_id":"me"}'],
])('%s comes to the same, small or large', async (_what, text) => {
  const withoutTime = (examined: unknown) =>
    JSON.stringify(examined).replace(/create_time\W+\d+/, 'create_time');
  expect(withoutTime(await examine(text, 'large'))).toBe(withoutTime(await examine(text, 'small')));
});

test('a prompt gets the time at which it came, whatever it says itself', async () => {
  const before = Date.now();
  const text = `{"extra_data":{"create_time":7},"prompt":{"1":${node('Known')}}}`;
  const examined = await examine(text, 'small');
  if (examined.kind !== 'valid') throw new Error('not valid');
  const { create_time } = JSON.parse(examined.extraText) as { create_time: number };
  expect(create_time).toBeGreaterThanOrEqual(before);
  expect(create_time).toBeLessThanOrEqual(Date.now());
});

describe('a workflow in place of a prompt', () => {
  const workflow = (className: string, more = '') =>
    `{"id":"w-1","version":0.4,"links":[],"nodes":[{"id":1,"type":"${className}","widgets_values":[${SEED},"fixed"]}]${more}}`;
  const bodies = [
    ['as the prompt', `{"client_id":"me","prompt":${workflow('Known')}}`],
    ['as the whole body', workflow('Known', ',"client_id":"me"')],
  ] as const;

  test.each(bodies)('%s is converted, and kept for the pictures', async (_what, text) => {
    for (const form of FORMS) {
      const examined = await examine(text, form);
      if (examined.kind !== 'valid') throw new Error(textOf(examined.rejectionText));
      expect(examined).toMatchObject({ clientId: 'me', outputIds: ['1'], workflowId: 'w-1' });
      expect(examined.promptText).toContain(`"seed":${SEED}`);
      expect(examined.extraText).toContain(`{"extra_pnginfo":{"workflow":${workflow('Known')}}`);
    }
  });

  test('does not take the place of one that the caller sends beside it', async () => {
    const extra = '{"a":1,"extra_pnginfo":{"b":2,"workflow":{"mine":true}}}';
    const examined = await examine(
      `{"prompt":${workflow('Known')},"extra_data":${extra}}`,
      'small',
    );
    expect(examined).toMatchObject({
      extraText: expect.stringMatching(
        /^\{"a":1,"extra_pnginfo":\{"b":2,"workflow":\{"mine":true\}\},"comfy_usage_source":"a-program",/,
      ),
    });
  });

  test('of a class that nobody knows is refused by node, after one more look at the servers', async () => {
    look = () => Promise.resolve(true);
    const examined = await examine(workflow('Unknown'), 'small');
    if (examined.kind !== 'rejected') throw new Error('not rejected');
    expect(JSON.parse(examined.rejectionText)).toMatchObject({
      error: { type: 'missing_node_type' },
      node_errors: { 1: { class_type: 'Unknown', errors: [{ type: 'missing_node_type' }] } },
    });
    expect(refreshed).toEqual([['Unknown']]);
  });

  test('is not converted in the thread that everybody waits for', async () => {
    const broken = create(writeBrokenThread());
    for (const text of [workflow('Known'), `{"prompt":${workflow('Known')}}`]) {
      await expect(
        broken.examinePrompt(bodyOf(text, 'small'), requestOf('a-program')),
      ).rejects.toMatchObject({
        code: 'internal',
      });
    }
  });

  test('comes to a prompt by itself, from JSON and from a file', async () => {
    const file = pngWithTexts({ workflow: workflow('Known') });
    const posted = [
      Buffer.from(workflow('Known')),
      Buffer.from(`{"prompt":${workflow('Known')}}`),
      file,
    ];
    for (const bytes of posted) {
      const answer = await examiner.examineWorkflow({ kind: 'small', bytes }, undefined);
      expect(answer.status).toBe(200);
      expect(textOf(answer.answerText)).toBe(
        `{"prompt":{"1":{"inputs":{"seed":${SEED}},"class_type":"Known","_meta":{"title":"Known"}}}}`,
      );
    }
  });
});

test('an edit comes to the same, small or large', async () => {
  const ids = Array.from({ length: 700 }, (_, n) => `id-${n}`);
  const text = JSON.stringify({ clear: true, delete: ids });
  const [small, large] = await Promise.all(
    FORMS.map((form) => examiner.examineEdit(bodyOf(text, form))),
  );
  expect(large).toEqual(small);
  expect(large!.deleteTexts.flatMap((part) => JSON.parse(part) as string[])).toEqual(ids);
  for (const form of FORMS) {
    const refused = examiner.examineEdit(bodyOf('[]', form));
    await expect(refused).rejects.toMatchObject({ code: 'bad_request' });
  }
});

test('large bodies that come together each get their own answer', async () => {
  const asked = Array.from({ length: 20 }, (_, n) =>
    examine(
      `{"prompt_id":"p${n}","prompt":{"1":${node(n % 2 === 0 ? 'Known' : 'Unknown')}}}`,
      'large',
    ),
  );
  const answers = await Promise.all(asked);
  expect(answers.map(({ kind, identity }) => [kind, identity?.id])).toEqual(
    answers.map((_, n) => [n % 2 === 0 ? 'valid' : 'rejected', `p${n}`]),
  );
});

test('a class that is announced later is known to the thread that runs already', async () => {
  const text = `{"prompt":{"1":${node('Later')}}}`;
  expect((await examine(text, 'large')).kind).toBe('rejected');
  const read = new Promise<void>((resolve) => catalogue.onReading(resolve));
  await register(['Later']);
  await read;
  expect((await examine(text, 'large')).kind).toBe('valid');
});

describe('a thread that ends', () => {
  const valid = `{"prompt":{"1":${node('Known')}}}`;

  test('because it is told to refuses what it had not answered; the next body gets a new one', async () => {
    const cut = examine(valid, 'large').catch((error: unknown) => error);
    await examiner.stop();
    expect(await cut).toMatchObject({ code: 'internal' });
    expect((await examine(valid, 'large')).kind).toBe('valid');
  });

  test('by a fault of its own refuses what it had not answered, every time', async () => {
    const broken = create(writeBrokenThread());
    for (let time = 0; time < 2; time += 1) {
      const both = [1, 2].map(() => broken.examinePrompt(bodyOf(valid, 'large'), requestOf()));
      for (const one of await Promise.allSettled(both)) {
        expect(one).toMatchObject({ status: 'rejected', reason: { code: 'internal' } });
      }
    }
    expect((await broken.examinePrompt(bodyOf(valid, 'small'), requestOf())).kind).toBe('valid');
  });

  test('because nothing came for a minute leaves the next body a new one', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      expect((await examine(valid, 'large')).kind).toBe('valid');
      jest.advanceTimersByTime(59_999);
      const inTime = examine(valid, 'large');
      jest.advanceTimersByTime(59_999);
      expect((await inTime).kind).toBe('valid');
      jest.advanceTimersByTime(60_000);
      expect((await examine(valid, 'large')).kind).toBe('valid');
    } finally {
      jest.useRealTimers();
    }
  });
});
