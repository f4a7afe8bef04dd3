import { expect, test } from '@jest/globals';
import type { ObjectInfo } from '@tiercel/contracts';
import { GraphAnalysis } from '@tiercel/graph';
import { chooseServers, type Candidate } from './choose-server.ts';

function server(name: string, module: string, modes: readonly string[]): Candidate {
  const objectInfo: ObjectInfo = {
    Paint: {
      ...{ name: 'Paint', display_name: 'Paint', description: '', category: 'x' },
      ...{ input: { required: { mode: [[...modes]] } }, output: [], output_node: true },
      ...{ python_module: module, output_is_list: [], output_name: [] },
    },
  };
  const nothing = {
    ...{ models: {}, embeddings: [], extensions: [], devices: [] },
    ...{ system: {}, features: {}, nodeReplacements: {} },
  };
  const abilities = { objectInfo, ...nothing };
  return { url: `http://${name}`, isHealthy: true, abilities, lastModels: '' };
}

const prompt = { '1': { class_type: 'Paint', inputs: { mode: 'oil' } } };
const graph = new GraphAnalysis(prompt, ['1']);
const urlsOf = (candidates: readonly Candidate[]) =>
  chooseServers(graph, '', candidates).able.map(({ url }) => url);

test('a choice that no list has rules a server out, unless its extension may take it all the same', () => {
  expect(urlsOf([server('a', 'nodes', ['ink'])])).toEqual([]);
  expect(urlsOf([server('a', 'custom_nodes.paint', ['ink'])])).toEqual(['http://a']);
});

test('servers whose extension lists the choice come before those that may refuse it', () => {
  const ink = server('a', 'custom_nodes.paint', ['ink']);
  const oil = server('b', 'custom_nodes.paint', ['ink', 'oil']);
  expect(urlsOf([ink, oil])).toEqual(['http://b']);
});
