import { afterAll, expect, test } from '@jest/globals';
import { startFakeComfyUi, startSystem, stopEverything, until } from '@tiercel/testkit';
import { tiersLine } from './comfyui-system.ts';
import { httpWithKey, makeKey } from './keys.ts';
import { post, saveImage, waitForEnd } from './prompts.ts';

afterAll(stopEverything);

test('a ComfyUI server that two tenants share gives neither the file or the workflow of the other', async () => {
  const server = await startFakeComfyUi();
  const system = await startSystem({
    configYaml: `${tiersLine([server.url])}auth: { mode: required }\n`,
  });
  const enter = async (tenant: string) => {
    const { key } = await makeKey(system.options, '--tenant', tenant);
    const api = httpWithKey(system.url, key);
    /** Runs the graph that all run. @returns the picture as text, and what was cached */
    const run = async (id: string) => {
      const extra = { extra_pnginfo: { workflow: { note: `the workflow of ${tenant}` } } };
      await post(api, saveImage('equal', 7), { prompt_id: id, extra_data: extra });
      const { outputs, status } = await waitForEnd(api, id);
      const [image] = outputs['2']?.images ?? [];
      const file = await api.get(`/view?${new URLSearchParams({ ...image }).toString()}`);
      const cached = status.messages.flatMap(([, { nodes }]) => nodes ?? []);
      return { name: image?.filename, text: file.text, cached };
    };
    return { api, run };
  };
  const [one, other] = [await enter('one'), await enter('other')];
  await until(
    async () => (await one.api.get('/object_info')).text.includes('"EmptyImage"'),
    20_000,
  );
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
