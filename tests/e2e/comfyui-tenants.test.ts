import { afterAll, expect, test } from '@jest/globals';
import { startFakeComfyUi, startSystem, stopEverything, until } from '@tiercel/testkit';
import { tiersLine } from './comfyui-system.ts';
import { makeKey } from './keys.ts';

afterAll(stopEverything);

test('a ComfyUI server that two tenants share gives neither the file or the workflow of the other', async () => {
  const server = await startFakeComfyUi();
  const system = await startSystem({
    configYaml: `${tiersLine([server.url])}auth: { mode: required }\n`,
  });
  const enter = async (tenant: string) => {
    const { key } = await makeKey(system.options, '--tenant', tenant);
    const headers = { 'x-api-key': key };
    const read = async (path: string): Promise<unknown> =>
      (await fetch(`${system.url}${path}`, { headers })).json();
    /** Runs the graph that all run. @returns the picture as text, and what was cached */
    const run = async (id: string) => {
      const extra = { extra_pnginfo: { workflow: { note: `the workflow of ${tenant}` } } };
      const prompt = {
        '1': {
          class_type: 'EmptyImage',
          inputs: { width: 64, height: 48, batch_size: 1, color: 7 },
        },
        '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'equal' } },
      };
      const body = JSON.stringify({ prompt, prompt_id: id, extra_data: extra });
      const answer = await fetch(`${system.url}/prompt`, { method: 'POST', headers, body });
      expect(answer.status).toBe(200);
      const ended = await until(async () => {
        const history = (await read(`/history/${id}`)) as Record<
          string,
          {
            outputs: Record<string, { images: Record<string, string>[] }>;
            status: { messages: [string, { nodes?: string[] }][] };
          }
        >;
        return history[id];
      });
      const [image] = ended.outputs['2']?.images ?? [];
      const query = new URLSearchParams(image).toString();
      const file = await fetch(`${system.url}/view?${query}`, { headers });
      const cached = ended.status.messages.flatMap(([, { nodes }]) => nodes ?? []);
      return { name: image?.filename, text: await file.text(), cached };
    };
    return { read, run };
  };
  const [one, other] = [await enter('one'), await enter('other')];
  await until(async () => {
    const info = (await one.read('/object_info')) as Record<string, unknown>;
    return Object.keys(info).includes('EmptyImage');
  }, 20_000);
  const first = await one.run('first');
  const second = await other.run('second');
  expect([first.name, second.name]).toEqual(['equal_00001_.png', 'equal_00001_.png']);
  expect(first.text).toContain('the workflow of one');
  expect(second.text).toContain('the workflow of other');
  expect(second.text).not.toContain('of one');
  expect(second.cached).not.toContain('2');
  for (const { text } of [first, second]) {
    expect(text).toContain('"filename_prefix": "equal"}');
    expect(text).not.toContain('tiercel');
  }
});
