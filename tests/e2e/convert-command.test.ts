import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeTempFolder, stopEverything } from '@tiercel/testkit';

/** `npm run -s convert`: prompts of what ComfyUI's editor saves, without a server. */

const catalogue = {
  Text: {
    name: 'Text',
    display_name: 'A text',
    input: { required: { value: ['STRING', { multiline: true }] } },
    output: ['STRING'],
    output_node: false,
  },
  SaveImage: {
    name: 'SaveImage',
    input: { required: { images: ['IMAGE'], filename_prefix: ['STRING', {}] } },
    output: [],
    output_node: true,
  },
};

const folder = makeTempFolder();
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
beforeAll(() => {
  write('object_info.json', JSON.stringify(catalogue));
});
afterAll(stopEverything);

const writeWorkflow = (name: string, ...nodes: object[]): string =>
  write(name, JSON.stringify({ version: 0.4, nodes, links: [] }));

function run(...args: readonly string[]) {
  const catalogueFile = join(folder, 'object_info.json');
  const options = ['run', '-s', 'convert', '--', '--object-info', catalogueFile, ...args];
  const { status, stdout, stderr } = spawnSync('npm', options, { encoding: 'utf8' });
  // A fresh clone is built first, and says so.
  const said = stderr.split('\n').filter((line) => line !== '' && line !== 'Building ...');
  return { code: status, said, stdout };
}

const readOut = (name: string): unknown =>
  JSON.parse(readFileSync(join(folder, 'out', name), 'utf8'));

test('writes a prompt for each workflow, under its name', () => {
  const one = writeWorkflow('one.json', { id: 1, type: 'Text', widgets_values: ['hello'] });
  const two = writeWorkflow('two.app.json', {
    id: 'save',
    type: 'SaveImage',
    widgets_values: ['%date:yyyy-MM-dd%'],
  });
  const out = join(folder, 'out');
  expect(run('--out', out, '--now', '2026-01-02T03:04:05', one, two)).toEqual({
    ...{ code: 0, said: [], stdout: '' },
  });
  expect(readOut('one.json')).toEqual({
    1: { class_type: 'Text', inputs: { value: 'hello' }, _meta: { title: 'A text' } },
  });
  expect(readOut('two.app.json')).toMatchObject({
    save: { inputs: { filename_prefix: '2026-01-02' } },
  });
});

test('says on one line each why a workflow has none, and converts the others', () => {
  const missing = writeWorkflow('missing.json', { id: 7, type: 'NobodyHasIt' });
  const broken = write('broken.json', '{"nodes": [');
  const none = write('none.json', '{"a": 1}');
  const prompt = write('prompt.json', '{"1": {"class_type": "Text", "inputs": {}}}');
  const good = writeWorkflow('good.json', { id: 1, type: 'Text' });
  const { code, said } = run('--out', join(folder, 'out'), missing, broken, none, prompt, good);
  expect(code).toBe(1);
  expect(said).toEqual([
    expect.stringMatching(/missing\.json: node 7 \(NobodyHasIt\): .*not found/),
    expect.stringMatching(/broken\.json: it is not JSON/),
    expect.stringMatching(/none\.json: it is no workflow/),
    expect.stringMatching(/prompt\.json: it is in the API format already/),
  ]);
  expect(existsSync(join(folder, 'out', 'missing.json'))).toBe(false);
  expect(readOut('good.json')).toBeDefined();
});

test('says how it is called when it is called wrongly', () => {
  const { code, said } = run('x.json');
  expect(code).toBe(64);
  expect(said[0]).toContain('--out is missing');
  expect(run('--out', folder, '--now', 'tomorrow', 'x.json').code).toBe(64);
  expect(run('--out', folder).code).toBe(64);
});
