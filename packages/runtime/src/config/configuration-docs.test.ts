import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { describeTable, listFileKeys, listVariables } from './configuration-tables.ts';
import { fileSchema } from './file-schema.ts';
import { loadConfig } from './load.ts';

const DOCUMENT = join(import.meta.dirname, '../../../../docs/configuration.md');
const TABLES = {
  environment: describeTable('Variable', listVariables()),
  file: describeTable('Key', listFileKeys()),
};

// UPDATE_DOCS=1 writes the tables instead of comparing them.
if (process.env.UPDATE_DOCS === '1') {
  let text = readFileSync(DOCUMENT, 'utf8');
  for (const [name, table] of Object.entries(TABLES)) {
    text = text.replace(between(name), () => fenced(name, table));
  }
  writeFileSync(DOCUMENT, text);
}

function between(name: string): RegExp {
  return new RegExp(`<!-- generated: ${name} -->[^]*?<!-- end: ${name} -->`);
}

function fenced(name: string, table: string): string {
  const [start, end] = ['<!-- prettier-ignore-start -->', '<!-- prettier-ignore-end -->'];
  return [`<!-- generated: ${name} -->`, start, '', table, '', end, `<!-- end: ${name} -->`].join(
    '\n',
  );
}

describe('docs/configuration.md', () => {
  const text = readFileSync(DOCUMENT, 'utf8');

  test.each(Object.entries(TABLES))(
    'holds exactly the %s settings that the code has, with their defaults',
    (name, table) => {
      expect(between(name).exec(text)?.[0]).toBe(fenced(name, table));
    },
  );

  test('says of every setting what it means', () => {
    const silent = [...listVariables(), ...listFileKeys()].filter(
      (setting) => setting.meaning === '',
    );
    expect(silent).toEqual([]);
  });

  test('tells the defaults that a start without any setting really uses', () => {
    const config = loadConfig({ TIERCEL_CONFIG: '/dev/null' });
    const documented = new Map(
      listFileKeys()
        // What is there only in a section, an entry or a map of the operator's has no value without it.
        .filter(({ key }) => !/\[\]|<name>|^auth\.jwt\./.test(key) && key !== 'tiers')
        .map((setting) => [setting.key, setting.default]),
    );
    for (const [key, value] of documented) {
      let found: unknown = config;
      for (const part of key.split('.')) {
        found = new Map<string, unknown>(Object.entries(found as object)).get(part);
      }
      const shown = typeof found === 'string' ? found : JSON.stringify(found);
      expect([key, found === undefined ? 'not set' : `\`${shown}\``]).toEqual([key, value]);
    }
    expect([config.host, config.port, config.workerProcesses, config.workerConcurrency]).toEqual([
      '127.0.0.1',
      8188,
      1,
      4,
    ]);
  });

  test('shows only examples that a start accepts', () => {
    const examples = [...text.matchAll(/```yaml\n([^]*?)```/g)].map((match) => match[1] ?? '');
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(fileSchema.safeParse(parseYaml(example)).error).toBeUndefined();
    }
  });
});
