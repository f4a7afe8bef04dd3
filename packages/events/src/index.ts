export { EventPublisher, type EventScope } from './publisher.ts';
export { EventReplay, isNewer, type JobEnd, type Missed, type PresentState } from './replay.ts';
export { EventSubscriber, type ChannelListener, type GapListener } from './subscriber.ts';
export type { EmittedBefore } from './emitted-before.ts';
export {
  WorkerRegistry,
  type KnownFleet,
  type LiveWorker,
  type NamedProfile,
} from './worker-registry.ts';
export { OverloadBoard } from './overload-board.ts';
export { publishControl, type ControlMessage } from './control.ts';
