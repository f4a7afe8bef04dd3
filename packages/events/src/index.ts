export { EventPublisher, type EventScope, type PublisherOptions } from './publisher.ts';
export {
  EventReplay,
  isNewer,
  NO_END,
  type JobEnd,
  type Missed,
  type PresentState,
} from './replay.ts';
export {
  EventSubscriber,
  type ChannelListener,
  type GapListener,
  type SubscriberOptions,
} from './subscriber.ts';
export type { ToldBefore } from './told-before.ts';
export { ANNOUNCEMENT_TTL_MS, AnnouncementBoard, type LiveAnnouncement } from './announcements.ts';
export { publishControl, type ControlMessage } from './control.ts';
