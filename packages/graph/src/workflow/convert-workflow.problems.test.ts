import { describe, expect, test } from '@jest/globals';
import type { JsonObject, JsonValue } from '@tiercel/contracts';
import fc from 'fast-check';
import { isSavedWorkflow } from './saved-workflow.ts';
import { convert, draft, saved, subgraph, withSubgraphs } from './workflows.test-helpers.ts';

function refusal(workflow: JsonObject, maxNodes = 1000) {
  const result = convert(workflow, { maxNodes });
  if (result.ok) throw new Error('it was converted');
  return result.rejection;
}

describe('a workflow that has no prompt says which node and why', () => {
  test('nodes of classes that nobody has, all of them, also inside subgraphs', () => {
    const file = saved(
      [draft(1, 'NobodyHasIt', [1], { title: 'Magic' }), draft(2, 'box')],
      withSubgraphs(subgraph('box', { nodes: [draft(5, 'OrThis')] })),
    );
    const { error, node_errors: nodes } = refusal(file);
    expect(error).toMatchObject({
      type: 'missing_node_type',
      message: expect.stringContaining('Magic'),
      extra_info: { node_id: '1', class_type: 'NobodyHasIt', node_title: 'Magic' },
    });
    expect(Object.keys(nodes)).toEqual(['1', '2:5']);
    expect(nodes['2:5']).toMatchObject({
      class_type: 'OrThis',
      dependent_outputs: [],
      errors: [{ type: 'missing_node_type', details: "Node ID '#2:5'" }],
    });
  });

  test('an instance of a subgraph that the file does not define', () => {
    const id = 'f2097e8d-fa3d-4eb9-a235-fae53aadf29d';
    expect(refusal(saved([draft(3, id)])).node_errors['3']?.errors[0]?.message).toContain(
      'definition',
    );
  });

  test('a link from a node that does not exist', () => {
    const { error, node_errors: nodes } = refusal(
      saved([draft(1, 'Invert', undefined, { feeds: { image: [77, 0] } })]),
    );
    expect(error.type).toBe('workflow_not_convertible');
    expect(nodes['1']?.errors).toEqual([
      {
        type: 'bad_linked_input',
        message: expect.stringContaining('node 77'),
        details: 'image',
        extra_info: { input_name: 'image' },
      },
    ]);
  });

  test('links that bypassed nodes pass on in a circle', () => {
    const file = saved([
      draft(1, 'Invert', undefined, { feeds: { image: [2, 0] }, mode: 4 }),
      draft(2, 'Invert', undefined, { feeds: { image: [1, 0] }, mode: 4 }),
      draft(3, 'Invert', undefined, { feeds: { image: [2, 0] } }),
    ]);
    expect(refusal(file).node_errors['3']?.errors[0]?.message).toContain('circle');
  });

  test('a subgraph inside itself, and more of them than a prompt may have', () => {
    const circle = saved(
      [draft(1, 'box')],
      withSubgraphs(subgraph('box', { nodes: [draft(5, 'box')] })),
    );
    expect(refusal(circle).node_errors['1:5']?.errors[0]?.message).toContain('itself');
    const doubling = Array.from({ length: 40 }, (_, level) =>
      subgraph(`box${level}`, {
        nodes: [draft(1, `box${level + 1}`), draft(2, `box${level + 1}`)],
      }),
    );
    const { error } = refusal(saved([draft(1, 'box0')], withSubgraphs(...doubling)), 100);
    expect(error.message).toContain('100 nodes');
  });

  test('a value that a browser would make', () => {
    const { node_errors: nodes } = refusal(saved([draft(1, 'Webcam', [])]));
    expect(nodes['1']?.errors[0]).toMatchObject({
      type: 'value_not_in_workflow',
      extra_info: { input_name: 'image' },
    });
    expect(convert(saved([draft(1, 'Webcam', ['photo.png'])])).ok).toBe(true);
  });

  test('none of this matters where a node is muted', () => {
    expect(convert(saved([draft(1, 'NobodyHasIt', [], { mode: 2 })]))).toEqual({
      ok: true,
      prompt: {},
    });
  });

  test('what the file says in the answer is short, however long it is', () => {
    const { error } = refusal(saved([draft(1, 'x'.repeat(1_000_000))]));
    expect(JSON.stringify(error).length).toBeLessThan(100_000);
  });
});

describe('any JSON with nodes', () => {
  const junk = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>;
  const node = fc.record(
    {
      id: fc.oneof(fc.integer({ min: 0, max: 5 }), junk),
      type: fc.oneof(
        fc.constantFrom('KSampler', 'Reroute', 'PrimitiveNode', 'box', 'Resize'),
        junk,
      ),
      mode: fc.oneof(fc.constantFrom(0, 2, 4), junk),
      inputs: fc.oneof(
        fc.array(fc.record({ name: fc.constantFrom('model', 'seed', 'in'), link: fc.nat(9) })),
        junk,
      ),
      outputs: junk,
      widgets_values: junk,
      properties: fc.oneof(fc.record({ proxyWidgets: junk }), junk),
      title: junk,
    },
    { requiredKeys: ['id', 'type'] },
  );
  const end = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(-10, -20), junk);
  const links = fc.array(fc.oneof(fc.tuple(fc.nat(9), end, fc.nat(3), end, fc.nat(3)), junk));
  const graph = { nodes: fc.array(fc.oneof(node, junk)), links: fc.oneof(links, junk) };
  const definition = fc.record({
    ...graph,
    id: fc.oneof(fc.constant('box'), junk),
    inputs: junk,
    outputs: junk,
  });
  const file = fc.record({
    ...graph,
    definitions: fc.oneof(fc.record({ subgraphs: fc.array(definition) }), junk),
    extra: fc.oneof(fc.record({ groupNodes: fc.dictionary(fc.string(), junk) }), junk),
    last_node_id: fc.oneof(fc.constantFrom(2 ** 53 - 1, 1e308), junk),
  });

  test('gets a prompt or a refusal', () => {
    fc.assert(
      fc.property(file, (value) => {
        const workflow = value as unknown as JsonValue;
        if (!isSavedWorkflow(workflow)) throw new Error('it is one');
        const result = convert(workflow);
        expect(typeof (result.ok ? result.prompt : result.rejection.error.message)).toBeTruthy();
      }),
      { numRuns: 300 },
    );
  });
});
