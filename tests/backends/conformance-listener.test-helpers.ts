import type { UiOutput, WireEvent } from '@tiercel/contracts';
import type { AttemptListener } from '@tiercel/routing';

/** One thing that a backend told of a node, whichever way it tells. */
interface RecordedCall {
  readonly kind: 'cached' | 'started' | 'progress' | 'executed' | 'other';
  readonly nodeId: string;
  readonly output?: UiOutput | null;
  readonly value?: number;
  readonly max?: number;
}

/** All that was told of one job: a ComfyUI server's frames in the words of the other backends. */
export class RecordingListener implements AttemptListener {
  readonly all: RecordedCall[] = [];
  /** The prompts that relayed frames were about. */
  readonly promptIds = new Set<unknown>();

  of(kind: RecordedCall['kind'], nodeId?: string): RecordedCall[] {
    return this.all.filter((t) => t.kind === kind && (nodeId === undefined || t.nodeId === nodeId));
  }

  runBegins(): void {
    // Nothing is told by it.
  }

  cached(nodeIds: readonly string[]): void {
    for (const nodeId of nodeIds) this.all.push({ kind: 'cached', nodeId });
  }

  nodeStarted(nodeId: string): void {
    this.all.push({ kind: 'started', nodeId });
  }

  progress(nodeId: string, value: number, max: number): void {
    this.all.push({ kind: 'progress', nodeId, value, max });
  }

  executed(nodeId: string, output: UiOutput | null): void {
    this.all.push({ kind: 'executed', nodeId, output });
  }

  nodeFinished(nodeId: string): void {
    this.all.push({ kind: 'other', nodeId });
  }

  picture(nodeId: string): void {
    this.all.push({ kind: 'other', nodeId });
  }

  text(nodeId: string): void {
    this.all.push({ kind: 'other', nodeId });
  }

  relay(events: readonly WireEvent[], preview?: { nodeId: string }): void {
    if (preview !== undefined) this.all.push({ kind: 'other', nodeId: preview.nodeId });
    for (const { type, data } of events) {
      // ComfyUI's frames; what is read of them here is checked by whoever compares.
      const frame = data as { node?: string; output?: UiOutput; value?: number; max?: number };
      const { prompt_id: promptId, nodes } = data as { prompt_id?: unknown; nodes?: object };
      this.promptIds.add(promptId);
      for (const nodeId of Object.keys(nodes ?? {})) this.all.push({ kind: 'other', nodeId });
      if (typeof frame.node !== 'string') continue;
      if (type === 'executing') this.nodeStarted(frame.node);
      else if (type === 'executed') this.executed(frame.node, frame.output ?? null);
      else if (type === 'progress') this.progress(frame.node, frame.value ?? -1, frame.max ?? -1);
      else this.all.push({ kind: 'other', nodeId: frame.node });
    }
  }
}
