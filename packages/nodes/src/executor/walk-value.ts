interface Visitor {
  value?(value: unknown): void;
  /** The memory behind samples; once, however many views there are of it. */
  buffer?(buffer: ArrayBufferLike): void;
}

/** Visits a value and everything in it, each object once. */
export function walkValue(root: unknown, visitor: Visitor): void {
  const seen = new Set<unknown>();
  const stack: unknown[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    const isObject = typeof value === 'object' && value !== null;
    if (isObject && seen.has(value)) continue;
    seen.add(value);
    visitor.value?.(value);
    if (!isObject) continue;
    if (!ArrayBuffer.isView(value)) {
      for (const item of Object.values(value)) stack.push(item);
    } else if (!seen.has(value.buffer)) {
      seen.add(value.buffer);
      visitor.buffer?.(value.buffer);
    }
  }
}

/** The memory blocks behind the samples of a value. */
export function collectBuffers(root: unknown): ArrayBufferLike[] {
  const buffers: ArrayBufferLike[] = [];
  walkValue(root, {
    buffer: (buffer) => {
      buffers.push(buffer);
    },
  });
  return buffers;
}
