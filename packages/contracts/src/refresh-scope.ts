/**
 * What workers are asked to look at again on their ComfyUI servers: everything they offer, their model files and
 * embeddings, or some node classes by name (with the choices that these list).
 */
export type RefreshScope = 'all' | 'files' | readonly string[];
