import { parseJson } from '@tiercel/contracts';
import { readNodes } from '@tiercel/graph';
import type { FingerprintContext, NodeInputs } from '../node-definition.ts';

/** `%Node.input%`; a dot tells it from storage's `%date:...%`, `%year%` and `%width%`. */
const NODE_TOKEN = /%([^%.]+)\.([^%]+)%/g;
/** What may not stand in a file name on any system; a value must not open a folder either. */
// eslint-disable-next-line no-control-regex -- control characters are among them
const UNSAFE = /[/?<>\\:*|"\x00-\x1f\x7f]/g;

function hasNodeToken(prefix: string): boolean {
  return prefix.search(NODE_TOKEN) >= 0;
}

/** Of a node that saves: %Node.input% makes the file's name depend on nodes that it is not linked to. */
export function fingerprintPrefix(
  { filename_prefix: prefix }: NodeInputs,
  { promptText }: FingerprintContext,
): string | undefined {
  if (typeof prefix !== 'string' || !hasNodeToken(prefix)) return undefined;
  return fillPrefix(prefix, promptText);
}

/**
 * Replaces `%Node.input%` by the value of that input, where Node is a node's title or class; the first
 * node that has the input wins. Tokens that name nothing stay, as in ComfyUI's frontend.
 */
export function fillPrefix(prefix: string, promptText: string): string {
  if (!hasNodeToken(prefix)) return prefix;
  const nodes = [...readNodes(parseJson(promptText)).values()];
  return prefix.replace(NODE_TOKEN, (token, nodeName: string, inputName: string) => {
    if (token.startsWith('%date:')) return token;
    for (const { title, classType, inputs } of nodes) {
      if (title !== nodeName && classType !== nodeName) continue;
      const value = inputs[inputName];
      if (value === undefined || value === null || typeof value === 'object') continue;
      return String(value).replace(UNSAFE, '_');
    }
    return token;
  });
}
