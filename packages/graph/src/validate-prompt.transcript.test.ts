import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  isJsonObject,
  parseJson,
  type JsonObject,
  type JsonValue,
  type NodeErrors,
  type ObjectInfo,
} from '@tiercel/contracts';
import { rejectMissingPrompt, validatePrompt } from './index.ts';

/** Every POST /prompt of recording 14, and the classes it uses. */
const cases = readFixture('prompt-validation.json') as unknown as {
  body: JsonValue;
  status: number;
  answer: JsonObject | null;
}[];
const objectInfo = readFixture('object-info.json') as unknown as ObjectInfo;

function readFixture(name: string): JsonValue {
  return parseJson(readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8'));
}

/** What the answer says, without tracebacks and without the order of a node's errors. */
function normalise(nodeErrors: Readonly<Record<string, NodeErrors>>): unknown {
  return Object.fromEntries(
    Object.entries(nodeErrors).map(([id, node]) => {
      const errors = node.errors.map((error) => {
        const { traceback, ...info } = error.extra_info;
        return { ...error, extra_info: { ...info, hasTraceback: Array.isArray(traceback) } };
      });
      errors.sort((a, b) => (a.details < b.details ? -1 : 1));
      return [id, { ...node, errors }];
    }),
  );
}

describe('validatePrompt answers as ComfyUI 0.3.64 was recorded to', () => {
  const withPrompt = cases.filter(({ body }) => isJsonObject(body) && body.prompt !== undefined);
  const seen = withPrompt.map((entry): [string, (typeof cases)[number]] => [
    JSON.stringify(entry.body).slice(0, 120),
    entry,
  ]);

  test('the recording is complete', () => {
    expect(withPrompt.length).toBe(20);
  });

  test.each(seen)('%s', async (_, { body, status, answer }) => {
    if (!isJsonObject(body)) throw new Error('a body with a prompt is an object');
    const prompt = body.prompt ?? null;
    const targets = body.partial_execution_targets;
    const result = await validatePrompt(prompt, {
      ...{ objectInfo, era: '0.3.64' },
      ...(Array.isArray(targets) ? { targets: targets as string[] } : {}),
      fileExists: () => Promise.resolve(false),
    });
    expect(result.ok).toBe(status === 200);
    if (status === 500) {
      // The stated difference: where ComfyUI breaks, the answer is a rejection of the same shape.
      expect(result).toMatchObject({ ok: false, rejection: { error: { type: 'invalid_prompt' } } });
      return;
    }
    const recorded = answer as unknown as {
      error?: unknown;
      node_errors: Record<string, NodeErrors>;
    };
    if (result.ok) {
      expect(normalise(result.nodeErrors)).toEqual(normalise(recorded.node_errors));
      return;
    }
    expect(result.rejection.error).toEqual(recorded.error);
    const { type } = result.rejection.error;
    if (
      type === 'prompt_outputs_failed_validation' &&
      Object.keys(recorded.node_errors).length === 0
    ) {
      // The other stated difference: ComfyUI 0.3.64 does not name a cycle's nodes, 0.24 does.
      expect(result.rejection.node_errors).toEqual({
        2: {
          class_type: 'ImageInvert',
          dependent_outputs: ['3'],
          errors: [
            {
              type: 'dependency_cycle',
              message: 'Dependency cycle detected',
              details: '1 (ImageInvert) -> 2 (ImageInvert) -> 1 (ImageInvert)',
              extra_info: { node_id: '2', cycle_nodes: ['1', '2'] },
            },
          ],
        },
      });
      return;
    }
    expect(normalise(result.rejection.node_errors)).toEqual(normalise(recorded.node_errors));
  });

  test('a body without a prompt', () => {
    const bare = cases.filter(
      ({ body, status }) => status === 400 && !withPrompt.some((c) => c.body === body),
    );
    expect(bare).toHaveLength(2);
    for (const { body, answer } of bare) expect(rejectMissingPrompt(body)).toEqual(answer);
  });
});
