import { RedisScript } from '@tiercel/runtime';

export type EnqueueReply =
  | { readonly kind: 'ok'; readonly number: number }
  /** The id was accepted before, with the same body. */
  | { readonly kind: 'same'; readonly number: number; readonly nodeErrorsText: string }
  /** The id was accepted before, with another body. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'full'; readonly pending: number }
  /** The pending jobs hold so many bytes that this one has no room. */
  | { readonly kind: 'heavy'; readonly bytes: number };

/** Accepts a prompt: writes the record and puts it among the pending, in one step. */
export const enqueueScript = new RedisScript({
  wrapper: import.meta.url,
  args: [
    ...([
      'prefix',
      'call',
      'id',
      'body_hash',
      'given_number',
      'front',
      'tenant',
      'client',
    ] as const),
    ...([
      'serial',
      'max_pending',
      'max_bytes',
      'workflow',
      'prompt',
      'extra',
      'targets',
      'node_errors',
    ] as const),
    ...(['secrets', 'limits', 'signature', 'estimate_ms', 'priority'] as const),
    ...(['hook', 'hook_events'] as const),
  ],
  parse: (reply): EnqueueReply => {
    const [kind, fact, nodeErrorsText] = reply as [EnqueueReply['kind'], string?, string?];
    switch (kind) {
      case 'ok':
        return { kind, number: Number(fact) };
      case 'same':
        return { kind, number: Number(fact), nodeErrorsText: nodeErrorsText ?? '{}' };
      case 'full':
        return { kind, pending: Number(fact) };
      case 'heavy':
        return { kind, bytes: Number(fact) };
      case 'conflict':
        return { kind };
    }
  },
});
