// npm run -s convert: makes prompts in the API format of workflows as ComfyUI's editor saves them. One line on
// standard error for each that has none; exit code 1 then. Needs no server and no Redis.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { ensureBuilt, ensureInstalled, fail, reportOnStderr } from './bootstrap.mjs';
import { readCommandLine } from './command-line.mjs';
import { describeReadError, readCatalogue, readJson } from './json-files.mjs';

const USAGE = `usage: npm run -s convert -- --object-info FILE --out DIR [--now TIME] WORKFLOW.json...
  --object-info FILE  what the server answers to GET /object_info; - reads it from standard input
  --out DIR           where NAME.json is written for each, under the name of its workflow
  --now TIME          the time for %date:...% in names of files, such as 2026-01-31T12:00:00; default: now
  WORKFLOW.json       what the editor saves`;

const MAX_NODES = 100_000;

const { values, positionals: workflowFiles } = readCommandLine(USAGE, {
  ...{ texts: ['object-info', 'out', 'now'], required: ['object-info', 'out'], files: 'workflow' },
});
const outDir = values.out;
const now = readTime(values.now);
reportOnStderr();
await ensureInstalled();
await ensureBuilt();
const { isJsonObject, stringifyJson } = await import('../packages/contracts/dist/index.js');
const { convertWorkflow, isSavedWorkflow } = await import('../packages/graph/dist/index.js');

const objectInfo = await readCatalogue(values['object-info']);
mkdirSync(outDir, { recursive: true });
const written = new Set();
for (const file of workflowFiles) {
  try {
    writePrompt(file, await convert(file));
  } catch (error) {
    console.error(`${file}: ${describeReadError(error).replaceAll('\n', ' ')}`);
    process.exitCode = 1;
  }
}

function readTime(text) {
  const time = text === undefined ? new Date() : new Date(text);
  if (Number.isNaN(time.getTime())) fail(`--now is no time: ${text}\n${USAGE}`, 64);
  return time;
}

async function convert(file) {
  const workflow = await readJson(file);
  if (!isSavedWorkflow(workflow)) {
    const isPrompt =
      isJsonObject(workflow) &&
      Object.values(workflow).some((node) => isJsonObject(node) && 'class_type' in node);
    throw new Error(
      isPrompt ? 'it is in the API format already' : 'it is no workflow: it has no list of nodes',
    );
  }
  const options = { objectInfo, now, random: Math.random, maxNodes: MAX_NODES };
  const result = convertWorkflow(workflow, options);
  if (result.ok) return result.prompt;
  const { error, node_errors: nodes } = result.rejection;
  const reasons = Object.entries(nodes).flatMap(([id, { class_type: type, errors }]) =>
    errors.map(
      ({ message, details }) =>
        `node ${id} (${type}): ${[message, details].filter(Boolean).join(': ')}`,
    ),
  );
  throw new Error(reasons.length > 0 ? reasons.join('; ') : error.message);
}

function writePrompt(file, prompt) {
  const name = `${basename(file, extname(file))}.json`;
  if (written.has(name)) throw new Error(`${name} was written for another workflow of that name`);
  written.add(name);
  writeFileSync(join(outDir, name), `${stringifyJson(prompt)}\n`);
}
