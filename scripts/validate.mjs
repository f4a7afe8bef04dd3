// npm run -s validate: says of prompt files whether a ComfyUI with this catalogue would take them. One line
// of JSON a file; exit code 1 when any would be refused. Needs no server and no Redis.
import { ensureBuilt, ensureInstalled, reportOnStderr } from './bootstrap.mjs';
import { readCommandLine } from './command-line.mjs';
import { describeReadError, readCatalogue, readJson } from './json-files.mjs';

const USAGE = `usage: npm run -s validate -- --object-info FILE PROMPT.json...
  --object-info FILE  what the server answers to GET /object_info; - reads it from standard input
  PROMPT.json         a prompt in ComfyUI's API format, or a whole body of POST /prompt`;

const { values, positionals: promptFiles } = readCommandLine(USAGE, {
  ...{ texts: ['object-info'], required: ['object-info'], files: 'prompt' },
});
reportOnStderr();
await ensureInstalled();
await ensureBuilt();
const { isJsonObject, stringifyJson } = await import('../packages/contracts/dist/index.js');
const { validatePrompt } = await import('../packages/graph/dist/index.js');

const objectInfo = await readCatalogue(values['object-info']);
for (const file of promptFiles) {
  const result = await judge(file);
  if (!result.ok) process.exitCode = 1;
  console.log(stringifyJson({ file, ...result }));
}

async function judge(file) {
  let body;
  try {
    body = await readJson(file);
  } catch (error) {
    return refuse('invalid_json', `The file cannot be read: ${describeReadError(error)}`);
  }
  const isBody = isJsonObject(body) && isJsonObject(body.prompt) && !('class_type' in body.prompt);
  const targets = isBody ? body.partial_execution_targets : undefined;
  const result = await validatePrompt(isBody ? body.prompt : body, {
    objectInfo,
    ...(Array.isArray(targets) ? { targets: targets.map(String) } : {}),
    fileExists: async (name, listed) => mayExist(name, listed),
  });
  if (result.ok) return { ok: true, error: null, node_errors: result.nodeErrors };
  return { ok: false, ...result.rejection };
}

/** The list names what lies in the input folder itself; of other folders only the server knows. */
function mayExist(annotatedName, listed) {
  const isElsewhere = /[\\/]/.test(annotatedName) || /\[\w+\]$/.test(annotatedName);
  return listed === undefined || isElsewhere || listed.includes(annotatedName);
}

function refuse(type, message) {
  return { ok: false, error: { type, message, details: '', extra_info: {} }, node_errors: {} };
}
