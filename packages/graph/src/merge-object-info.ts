import { stringifyJson, type InputSpec, type NodeInfo, type ObjectInfo } from '@tiercel/contracts';
import { choicesOf, takesAnyFile, withAnyFile, withChoices } from './combo-choices.ts';
import { isUploadInput } from './input-specs.ts';

/**
 * The union of what several servers offer: every class that one of them has, and for a class that more
 * have, every choice of its lists (checkpoints, LoRAs) in the order of first appearance. A list that is only
 * a help to one is so for all: a name is refused where every server refuses it. All else is as the first
 * says; numbers are not touched.
 */
export function mergeObjectInfo(catalogues: readonly ObjectInfo[]): ObjectInfo {
  const union = new Map<string, NodeInfo>();
  for (const catalogue of catalogues) {
    for (const [name, info] of Object.entries(catalogue)) {
      const known = union.get(name);
      union.set(name, known === undefined ? info : mergeChoices(known, info));
    }
  }
  return Object.fromEntries(union);
}

/** A declaration with each of its inputs changed. */
export function mapInputs(
  info: NodeInfo,
  change: (spec: InputSpec, name: string, section: 'required' | 'optional') => InputSpec,
): NodeInfo {
  const mapSection = (section: 'required' | 'optional') => {
    const specs = info.input[section];
    if (specs === undefined) return {};
    const changed = Object.entries(specs).map(([name, spec]) => [
      name,
      change(spec, name, section),
    ]);
    return { [section]: Object.fromEntries(changed) as Record<string, InputSpec> };
  };
  return {
    ...info,
    input: { ...info.input, ...mapSection('required'), ...mapSection('optional') },
  };
}

/** The first declaration of a class, with the choices that only the second has at their lists' ends. */
function mergeChoices(first: NodeInfo, second: NodeInfo): NodeInfo {
  return mapInputs(first, (spec, name, section) => {
    const other = second.input[section]?.[name];
    // The choices of an upload input are files, and those are the API's own.
    if (other === undefined || isUploadInput(spec)) return spec;
    const [known, more] = [choicesOf(spec), choicesOf(other)];
    if (known === undefined || more === undefined) return spec;
    // Choices are mostly texts, but any JSON may be one.
    const seen = new Set(known.map(stringifyJson));
    const added = more.filter((choice) => !seen.has(stringifyJson(choice)));
    const all = added.length === 0 ? spec : withChoices(spec, [...known, ...added]);
    return takesAnyFile(other) && !takesAnyFile(all) ? withAnyFile(all) : all;
  });
}
