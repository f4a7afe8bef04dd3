export { EventPublisher, type EventScope, type PublisherOptions } from './publisher.ts';
export { EventReplay, isNewer, type PresentState } from './replay.ts';
export { EventSubscriber, type ChannelListener } from './subscriber.ts';
export { ANNOUNCEMENT_TTL_MS, AnnouncementBoard, type LiveAnnouncement } from './announcements.ts';
export { publishControl, type ControlMessage } from './control.ts';
