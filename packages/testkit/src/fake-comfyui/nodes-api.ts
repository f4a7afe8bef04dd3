import {
  NodeFailure,
  readText,
  type NodeContext,
  type NodeResult,
  type RunNode,
} from './node-class.ts';

/** How a text of a node holds its key. */
const SPELLINGS: Readonly<Record<string, (key: string) => string>> = {
  plain: (key) => key,
  json: (key) => JSON.stringify({ headers: { authorization: `Bearer ${key}` } }),
  url: (key) => `https://api.example/v1?key=${encodeURIComponent(key)}&n=1`,
  base64: (key) => `Basic ${Buffer.from(`me:${key}`).toString('base64')}`,
  middle: (key) => `x${key}y`,
};

/**
 * A node that calls a paid service with the caller's key (hidden inputs, as ComfyUI's API nodes have them) and says it
 * back somewhere: services repeat keys in their refusals, and nodes print what they sent.
 */
export const API_NODES: Readonly<Record<string, RunNode>> = {
  CallService: (inputs, context) => {
    const keys = [inputs.auth_token_comfy_org, inputs.api_key_comfy_org].map((key) =>
      readText(key),
    );
    const spell = SPELLINGS[readText(inputs.spelling)] ?? SPELLINGS.plain;
    const said = keys.map((key) => spell?.(key) ?? key).join(' and ');
    return say(said, readText(inputs.where), context);
  },
};

function say(said: string, where: string, context: NodeContext): NodeResult {
  switch (where) {
    case 'error':
      throw new NodeFailure('Exception', `Unauthorized: ${said} was refused`);
    case 'message':
      context.sendMessage('my.service', { said, prompt_id: context.promptId }, 'client');
      return { ui: { text: ['done'] } };
    case 'broadcast':
      context.sendMessage('my.monitor', { said }, 'all');
      return { ui: { text: ['done'] } };
    case 'progress_text':
      context.sendText(said);
      return { ui: { text: ['done'] } };
    case 'file': {
      const name = said.replace(/[^\w.-]/g, '_').slice(0, 100);
      const bytes = Buffer.from('a picture');
      return { ui: { files: [context.files.save('output', name, 'bin', bytes)] } };
    }
    default:
      return { ui: { text: [said], deep: [{ [said]: [{ said }] }] } };
  }
}
