/**
 * A frame of a server with its prompt id replaced by the caller's: at `data.prompt_id`, and in each
 * node of `progress_state`. Nothing else of the frame is touched.
 */
export function mapPromptId(data: object, from: string, to: string): object {
  const source = data as Record<string, unknown>;
  const mapped: Record<string, unknown> = { ...source };
  if (source.prompt_id === from) mapped.prompt_id = to;
  if (typeof source.nodes === 'object' && source.nodes !== null && !Array.isArray(source.nodes)) {
    mapped.nodes = Object.fromEntries(
      Object.entries(source.nodes).map(([id, state]: [string, unknown]) => [
        id,
        typeof state === 'object' && state !== null ? mapPromptId(state, from, to) : state,
      ]),
    );
  }
  return mapped;
}
