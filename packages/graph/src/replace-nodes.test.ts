import { describe, expect, test } from '@jest/globals';
import { parseJson, type JsonObject, type ObjectInfo } from '@tiercel/contracts';
import { replaceNodes } from './replace-nodes.ts';

const classOf = (name: string): ObjectInfo[string] => ({
  ...{ name, display_name: name, description: '', category: 'x', python_module: 'nodes' },
  ...{ input: {}, output: [], output_is_list: [], output_name: [], output_node: false },
});
const objectInfo: ObjectInfo = Object.fromEntries(
  ['New', 'Save', 'Kept', 'Other'].map((name) => [name, classOf(name)]),
);
const replacements: JsonObject = {
  Old: [
    {
      ...{ new_node_id: 'New', old_node_id: 'Old', old_widget_ids: null },
      input_mapping: [
        { new_id: 'image', old_id: 'images' },
        { new_id: 'size.edge', old_id: 'edge' },
        { new_id: 'method', set_value: 'lanczos' },
        { new_id: 'gone', old_id: 'never given' },
      ],
      output_mapping: [
        { old_idx: 0, new_idx: 2 },
        { old_idx: 1, new_idx: 0 },
      ],
    },
    { new_node_id: 'Other', old_node_id: 'Old', input_mapping: null, output_mapping: null },
  ],
  Kept: [{ new_node_id: 'New', old_node_id: 'Kept', input_mapping: null, output_mapping: null }],
  Lost: [{ new_node_id: 'Nobody', old_node_id: 'Lost', input_mapping: null, output_mapping: null }],
  Bare: [{ new_node_id: 'New', old_node_id: 'Bare', input_mapping: null, output_mapping: null }],
  Odd: 'not a list',
};

function replace(text: string): string | undefined {
  return replaceNodes(parseJson(text), text, { objectInfo, replacements });
}

describe('a node whose class nobody has', () => {
  test('gives way to its successor: inputs renamed or set, links from it moved, digits kept', () => {
    const text =
      '{"a":{"inputs":{"images":["s",0],"edge":18446744073709551615},"class_type":"Old","_meta":{"title":"T"}},' +
      '"b": {"class_type":"Save","inputs":{"one":["a",0],"two":["a", 1],"three":["a",5],"seed":1.0}},' +
      '"c":{"class_type":"Save","inputs":{"x" : 1.0}}}';
    expect(replace(text)).toBe(
      '{"a":{"inputs":{"image":["s",0],"size.edge":18446744073709551615,"method":"lanczos"},"class_type":"New","_meta":{"title":"T"}},' +
        '"b":{"class_type":"Save","inputs":{"one":["a",2],"two":["a",0],"three":["a",5],"seed":1.0}},' +
        '"c":{"class_type":"Save","inputs":{"x" : 1.0}}}',
    );
  });

  test('keeps links between two of them, whichever comes first', () => {
    const node = (from: string) => ({ class_type: 'Old', inputs: { images: [from, 0] } });
    for (const order of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      const prompt = Object.fromEntries(order.map((id) => [id, node(id === 'a' ? 's' : 'a')]));
      const replaced = parseJson(replace(JSON.stringify(prompt)) ?? '{}') as typeof prompt;
      expect([replaced.a?.inputs, replaced.b?.inputs]).toEqual([
        { image: ['s', 0], method: 'lanczos' },
        { image: ['a', 2], method: 'lanczos' },
      ]);
    }
  });

  test('loses its inputs when the successor takes none of them', () => {
    expect(replace('{"1":{"class_type":"Bare","inputs":{"x":1}}}')).toBe(
      '{"1":{"class_type":"New","inputs":{}}}',
    );
  });

  test.each([
    ['it is known after all', '{"1":{"class_type":"Kept","inputs":{}}}'],
    ['its successor is not known', '{"1":{"class_type":"Lost","inputs":{}}}'],
    ['nobody names one', '{"1":{"class_type":"constructor","inputs":{}}}'],
    ['what is told of it cannot be read', '{"1":{"class_type":"Odd","inputs":{}}}'],
    ['it has no inputs', '{"1":{"class_type":"Old"}}'],
    ['it is no node', '{"1":["Old"]}'],
    ['the prompt is none', '[1]'],
  ])('stays as it is when %s', (_, text) => {
    expect(replace(text)).toBeUndefined();
  });
});
