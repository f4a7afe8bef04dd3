import { isJsonObject, parseJson, type JsonValue } from '@tiercel/contracts';
import { replaceNodes, validatePrompt, type ValidationResult } from '@tiercel/graph';
import type { Catalogue } from '../catalogue.ts';
import type { LookAgain } from '../look-again.ts';

export interface JudgeDeps {
  readonly catalogue: Pick<Catalogue, 'objectInfo' | 'nodeReplacements'>;
  readonly looks: Pick<LookAgain, 'ask'>;
  readonly fileExists: (annotatedName: string) => Promise<boolean>;
  /** The output nodes that the caller wants; undefined: all. */
  readonly targets: readonly string[] | undefined;
}

export interface Judged {
  /** The prompt as it will run: the caller's text, with nodes replaced that servers know a successor of. */
  readonly promptText: string;
  readonly validated: ValidationResult;
}

/**
 * Decides whether a prompt can run. Before a class or a value is refused the servers are looked at again: it may
 * have been added since.
 */
export async function judgePrompt(
  given: { readonly prompt: JsonValue; readonly text: string },
  deps: JudgeDeps,
): Promise<Judged> {
  const first = await judge(given, deps);
  const doubtful = listDoubtful(first, deps);
  if (doubtful.length === 0 || !(await deps.looks.ask(doubtful))) return first.judged;
  return (await judge(given, deps)).judged;
}

interface Verdict {
  readonly judged: Judged;
  readonly prompt: JsonValue;
}

async function judge(
  { prompt: givenPrompt, text }: { readonly prompt: JsonValue; readonly text: string },
  { catalogue, fileExists, targets }: JudgeDeps,
): Promise<Verdict> {
  const { objectInfo, nodeReplacements } = catalogue;
  const replaced = replaceNodes(givenPrompt, text, { objectInfo, replacements: nodeReplacements });
  const prompt = replaced === undefined ? givenPrompt : parseJson(replaced);
  const validated = await validatePrompt(prompt, {
    objectInfo,
    ...(targets === undefined ? {} : { targets }),
    fileExists,
  });
  return { judged: { promptText: replaced ?? text, validated }, prompt };
}

/** Classes that nobody has, or whose nodes are refused: one more look may tell otherwise. */
function listDoubtful({ judged, prompt }: Verdict, { catalogue }: JudgeDeps): string[] {
  const { validated } = judged;
  const nodeErrors = validated.ok ? validated.nodeErrors : validated.rejection.node_errors;
  const refused = Object.values(nodeErrors).map((node) => node.class_type);
  const nodes = validated.ok || !isJsonObject(prompt) ? [] : Object.values(prompt);
  const unknown = nodes.flatMap((node) => {
    const name = isJsonObject(node) ? node.class_type : undefined;
    return typeof name === 'string' && !Object.hasOwn(catalogue.objectInfo, name) ? [name] : [];
  });
  return [...new Set([...unknown, ...refused])];
}
