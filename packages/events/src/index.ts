export { EventPublisher, type EventScope } from './publisher.ts';
export { EventReplay, isNewer, type JobEnd, type Missed, type PresentState } from './replay.ts';
export { EventSubscriber, type ChannelListener, type GapListener } from './subscriber.ts';
export type { ToldBefore } from './told-before.ts';
export { AnnouncementBoard, type LiveAnnouncement } from './announcements.ts';
export { publishControl, type ControlMessage } from './control.ts';
