// What commands that need no server read: catalogues, prompts and workflows from files.
import { readFileSync } from 'node:fs';
import { fail } from './bootstrap.mjs';

// Built by the time that anything is read, not when this file is.
const contracts = () => import('../packages/contracts/dist/index.js');

/** What a server answers to GET /object_info, from a file or (`-`) standard input; ends the process when it is none. */
export async function readCatalogue(path) {
  const { isJsonObject } = await contracts();
  let catalogue;
  try {
    catalogue = await readJson(path === '-' ? 0 : path);
  } catch (error) {
    const name = path === '-' ? 'the catalogue' : path;
    fail(`Cannot read ${name}: ${describeReadError(error)}`, 66);
  }
  const isCatalogue =
    isJsonObject(catalogue) &&
    Object.values(catalogue).some((info) => isJsonObject(info) && isJsonObject(info.input));
  if (!isCatalogue) fail(`${path} is no catalogue: GET /object_info answers with one.`, 66);
  return catalogue;
}

/** @throws SyntaxError for what is not JSON */
export async function readJson(path) {
  const { parseJson } = await contracts();
  return parseJson(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''));
}

export function describeReadError(error) {
  return error instanceof SyntaxError ? `it is not JSON (${error.message})` : error.message;
}
