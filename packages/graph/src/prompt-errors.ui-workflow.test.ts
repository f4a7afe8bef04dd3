import { expect, test } from '@jest/globals';
import type { JsonValue } from '@tiercel/contracts';
import { rejectMissingPrompt, validatePrompt } from './index.ts';

const workflow = { last_node_id: 1, nodes: [{ id: 1, type: 'A' }], links: [], version: 0.4 };
const asPrompt: JsonValue = { 1: { class_type: 'A', inputs: {} } };

test('a workflow of the editor, posted as the prompt, is told from a prompt', async () => {
  const result = await validatePrompt(workflow, {
    objectInfo: {},
    fileExists: () => Promise.resolve(true),
  });
  expect(result).toMatchObject({
    ok: false,
    rejection: {
      error: {
        type: 'invalid_prompt',
        message: expect.stringMatching(/workflow in the format.*Export \(API\)/),
      },
      node_errors: {},
    },
  });
});

test('a prompt without its envelope is told what is missing', () => {
  const received = (body: JsonValue) => rejectMissingPrompt(body).error;
  expect(received(asPrompt).message).toMatch(/"prompt"/);
  for (const body of [{}, [], 'text', null, { client_id: 'me' }, { nodes: 3 }]) {
    expect(received(body).message).toBe('No prompt provided');
  }
});
