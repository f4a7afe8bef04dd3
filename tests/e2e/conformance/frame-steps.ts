import { isJsonObject, type JsonObject, type JsonValue } from '@tiercel/contracts';
import { normalise } from './normalise.ts';
import type { BinaryMessage, RecordedMessage } from './transcript.ts';

/** A frame ready for comparison: what it is, and what it says. */
export interface PlainFrame {
  readonly type: string;
  readonly data: JsonValue;
}

/**
 * Drops `status` broadcasts, which may be coalesced, but for the first and those of a job's end.
 * @param isRacing whether other jobs come and go meanwhile, so that the end may show any number
 */
export function toPlainFrames(
  messages: readonly RecordedMessage[],
  isRacing: boolean,
): PlainFrame[] {
  const frames = messages.map(toPlainFrame);
  const kept = frames.filter((frame, index) => {
    if (frame.type !== 'status' || index === 0) return true;
    const next = frames[index + 1];
    return next !== undefined && isIdleFrame(next) && isTerminal(frames[index - 1]);
  });
  return kept.map((frame, index) =>
    isRacing && index > 0 && frame.type === 'status' ? { type: 'status', data: '<any>' } : frame,
  );
}

function toPlainFrame(message: RecordedMessage): PlainFrame {
  if ('text' in message) return { type: message.text.type, data: normalise(message.text.data) };
  const {
    event,
    header_hex: header,
    image_type: imageType = null,
    metadata = null,
  } = message.binary;
  const data = {
    event,
    image_type: imageType,
    metadata,
    picture: readMagic(message.binary, header),
  };
  return { type: 'preview', data: normalise(data) };
}

/** The first three bytes of the picture tell JPEG from PNG; what follows is the encoder's own. */
function readMagic({ event, image_magic: magic }: BinaryMessage['binary'], header: string): string {
  return (event === 1 ? header.slice(16) : (magic ?? '')).slice(0, 6);
}

function isIdleFrame({ type, data }: PlainFrame): boolean {
  return type === 'executing' && isJsonObject(data) && data.node === null;
}

function isTerminal(frame: PlainFrame | undefined): boolean {
  return frame !== undefined && /^execution_(success|error|interrupted)$/.test(frame.type);
}

/**
 * The prompts of which a socket saw only some steps: how many is a matter of timing. Those of a prompt
 * that failed by itself are not.
 */
export function findTimedPrompts(frames: readonly PlainFrame[]): Set<string> {
  const timed = new Map<string, boolean>();
  const steps = new Map<string, { seen: number; max: number }>();
  for (const { type, data } of frames) {
    if (!isJsonObject(data) || typeof data.prompt_id !== 'string') continue;
    if (type === 'progress') {
      const seen = (steps.get(data.prompt_id)?.seen ?? 0) + 1;
      steps.set(data.prompt_id, { seen, max: Number(data.max) });
    }
    if (type === 'execution_error') timed.set(data.prompt_id, false);
  }
  for (const [id, { seen, max }] of steps) if (!timed.has(id)) timed.set(id, seen < max);
  return new Set([...timed].flatMap(([id, isTimed]) => (isTimed ? [id] : [])));
}

/**
 * Makes the steps of the named prompts one frame `steps`, after checking that each step is a
 * `progress_state`, a `progress` and a preview, counting up by one. The last may be cut short.
 * @throws Error naming the frame that does not fit
 */
export function collapseSteps(
  frames: readonly PlainFrame[],
  timedPrompts: ReadonlySet<string>,
): PlainFrame[] {
  const result: PlainFrame[] = [];
  let at = 0;
  while (at < frames.length) {
    const step = readStep(frames, at);
    const frame = frames[at];
    if (step === undefined || !timedPrompts.has(step.promptId)) {
      if (frame !== undefined) result.push(frame);
      at += 1;
      continue;
    }
    at += step.frames;
    let value = step.value;
    for (let next = readStep(frames, at); next !== undefined; next = readStep(frames, at)) {
      if (next.value !== value + 1) throw new Error(`step ${next.value} came after step ${value}`);
      value = next.value;
      at += next.frames;
    }
    // A cut-off step: its state was the last that was heard of the run.
    if (isStepState(frames[at], value + 1)) at += 1;
    result.push({ type: 'steps', data: { prompt_id: step.promptId, max: step.max } });
  }
  return result;
}

interface Step {
  readonly promptId: string;
  readonly value: number;
  readonly max: number;
  readonly frames: number;
}

function readStep(frames: readonly PlainFrame[], at: number): Step | undefined {
  const [state, second, third] = frames.slice(at, at + 3);
  const progress = second?.type === 'preview' ? third : second;
  if (state?.type !== 'progress_state' || progress?.type !== 'progress') return undefined;
  const { prompt_id: promptId, value, max } = progress.data as JsonObject; // progress has these members
  if (typeof promptId !== 'string' || !isStepState(state, Number(value))) return undefined;
  const hasPreview = second?.type === 'preview' || third?.type === 'preview';
  return { promptId, value: Number(value), max: Number(max), frames: hasPreview ? 3 : 2 };
}

function isStepState(frame: PlainFrame | undefined, value: number): boolean {
  if (frame?.type !== 'progress_state' || !isJsonObject(frame.data)) return false;
  const { nodes } = frame.data;
  if (!isJsonObject(nodes)) return false;
  return Object.values(nodes).some(
    (node) => isJsonObject(node) && node.state === 'running' && node.value === value,
  );
}
