import {
  parseJson,
  type Era,
  type JsonObject,
  type JsonValue,
  type ObjectInfo,
} from '@tiercel/contracts';
import { listClasses, replaceNodes, validatePrompt, type ValidationResult } from '@tiercel/graph';

/** The classes that prompts may use, and old class -> what may take its place. */
export interface Classes {
  readonly objectInfo: ObjectInfo;
  readonly nodeReplacements: JsonObject;
}

export interface JudgeDeps {
  readonly era: Era;
  /** As they are known at the moment. */
  readonly classes: () => Classes;
  /** Looks at the servers again; false when there is none to look at. */
  readonly refreshServers: (classNames: readonly string[]) => Promise<boolean>;
  readonly fileExists: (annotatedName: string) => Promise<boolean>;
}

interface Given {
  readonly prompt: JsonValue;
  readonly text: string;
  /** The output nodes that the caller wants; undefined: all. */
  readonly targets: readonly string[] | undefined;
}

export interface Judged {
  /** The prompt as it will run: the caller's text, with nodes replaced that servers know a successor of. */
  readonly promptText: string;
  /** The same, read. */
  readonly prompt: JsonValue;
  readonly validated: ValidationResult;
}

/**
 * Decides whether a prompt can run. Before a class or a value is refused the servers are looked at again: it may
 * have been added since.
 */
export async function judgePrompt(given: Given, deps: JudgeDeps): Promise<Judged> {
  const first = await judge(given, deps);
  const doubtful = listDoubtful(first);
  if (doubtful.length === 0 || !(await deps.refreshServers(doubtful))) return first.judged;
  return (await judge(given, deps)).judged;
}

interface JudgedPrompt {
  readonly judged: Judged;
  readonly objectInfo: ObjectInfo;
}

async function judge(given: Given, { classes, era, fileExists }: JudgeDeps): Promise<JudgedPrompt> {
  const { text, targets } = given;
  const { objectInfo, nodeReplacements } = classes();
  const replaced = replaceNodes(given.prompt, text, { objectInfo, replacements: nodeReplacements });
  const prompt = replaced === undefined ? given.prompt : parseJson(replaced);
  const validated = await validatePrompt(prompt, {
    ...{ objectInfo, era },
    ...(targets === undefined ? {} : { targets }),
    fileExists,
  });
  return { judged: { promptText: replaced ?? text, prompt, validated }, objectInfo };
}

/** Classes that nobody has, or whose nodes are refused: one more look may tell otherwise. */
function listDoubtful({ judged, objectInfo }: JudgedPrompt): string[] {
  const { prompt, validated } = judged;
  const nodeErrors = validated.ok ? validated.nodeErrors : validated.rejection.node_errors;
  const refused = Object.values(nodeErrors).map((node) => node.class_type);
  const named = validated.ok ? [] : listClasses(prompt);
  const unknown = named.filter((name) => !Object.hasOwn(objectInfo, name));
  return [...new Set([...unknown, ...refused])];
}
