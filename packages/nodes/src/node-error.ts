/**
 * What a node throws to end its job with a clear text.
 * `exceptionType` is shown as ComfyUI shows Python's exception class.
 */
export class NodeError extends Error {
  constructor(message: string, options: { exceptionType?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = options.exceptionType ?? 'RuntimeError';
  }
}
