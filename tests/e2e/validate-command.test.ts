import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

/** `npm run -s validate`: what a ComfyUI with some catalogue would say of prompt files. */

const catalogue = {
  Load: {
    name: 'Load',
    input: {
      required: { image: ['COMBO', { options: ['here.png'], image_upload: true }] },
      optional: {
        model: [['a.safetensors']],
        more: [
          'COMFY_AUTOGROW_V3',
          {
            template: {
              ...{ input: { required: { n: ['INT', { max: 9 }] } } },
              ...{ names: ['x', 'y'], min: 0 },
            },
          },
        ],
      },
    },
    output: ['IMAGE'],
    output_node: true,
  },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tiercel validate-'));
  write('object_info.json', JSON.stringify(catalogue));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function writePrompt(name: string, inputs: object): string {
  return write(name, JSON.stringify({ 1: { class_type: 'Load', inputs } }));
}

interface ValidationLine {
  readonly file: string;
  readonly ok: boolean;
  readonly error: { readonly type: string; readonly message: string } | null;
  readonly node_errors: Record<string, { errors: { type: string }[] }>;
}

function run(
  args: readonly string[],
  input?: string,
): { code: number | null; lines: ValidationLine[]; said: string } {
  const { status, stdout, stderr } = spawnSync('npm', ['run', '-s', 'validate', '--', ...args], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return {
    code: status,
    lines: lines.map((line) => JSON.parse(line) as ValidationLine),
    said: stderr,
  };
}

const validate = (...files: readonly string[]) =>
  run(['--object-info', join(folder, 'object_info.json'), ...files]);

test('prints a line a file, in their order, and fails when one would be refused', () => {
  const files = [
    writePrompt('good.json', { image: 'here.png', model: 'a.safetensors', 'more.y': '9' }),
    writePrompt('nested.json', { image: 'here.png', 'more.x': 10 }),
    writePrompt('list.json', { image: 'here.png', model: 'b.safetensors' }),
    writePrompt('file.json', { image: 'gone.png' }),
  ];
  const { code, lines } = validate(...files);
  expect(code).toBe(1);
  expect(lines.map(({ file }) => file)).toEqual(files);
  expect(lines[0]).toEqual({ file: files[0], ok: true, error: null, node_errors: {} });
  const types = lines.slice(1).map(({ node_errors: e }) => e['1']?.errors[0]?.type);
  expect(types).toEqual(['value_bigger_than_max', 'value_not_in_list', 'custom_validation_failed']);
  for (const line of lines.slice(1)) {
    expect(line).toMatchObject({ ok: false, error: { type: 'prompt_outputs_failed_validation' } });
  }
});

test('takes a whole body of POST /prompt, and leaves files of other folders to the server', () => {
  const prompt = { 1: { class_type: 'Load', inputs: { image: 'sub/of the server.png [output]' } } };
  const file = write('body.json', `\uFEFF${JSON.stringify({ prompt, client_id: 'me' })}`);
  expect(validate(file)).toMatchObject({ code: 0, lines: [{ ok: true }] });
});

test('says of a file that is no prompt what it is', () => {
  const workflow = { last_node_id: 1, nodes: [{ id: 1, type: 'Load' }], links: [], version: 0.4 };
  const files = [
    write('text.json', 'a lighthouse'),
    write('ui.json', JSON.stringify(workflow)),
    join(folder, 'absent.json'),
    write('list.json', '[]'),
  ];
  const { code, lines } = validate(...files);
  expect(code).toBe(1);
  const messages = lines.map(({ ok, error }) => (ok ? '' : error?.message));
  expect(messages[0]).toMatch(/not JSON/);
  expect(messages[1]).toMatch(/workflow in the format of ComfyUI's editor.*Export \(API\)/);
  expect(messages[2]).toMatch(/cannot be read/);
  expect(messages[3]).toMatch(/not an object of nodes/);
});

test('reads the catalogue from standard input, and says what is wrong with one', () => {
  const file = writePrompt('stdin.json', { image: 'here.png' });
  const text = readFileSync(join(folder, 'object_info.json'), 'utf8');
  expect(run(['--object-info', '-', file], text)).toMatchObject({ code: 0, lines: [{ ok: true }] });
  for (const args of [[file], ['--object-info', file], ['--object-info', '-'], ['--what']]) {
    const { code, lines, said } = run(args, '{}');
    expect([args, lines, code === 0]).toEqual([args, [], false]);
    expect(said).toMatch(/usage|catalogue/);
  }
});
