export { keepLease, LEASE_MS } from './lease.ts';
export { ResourceSlots, type Slot } from './resource-slots.ts';
export { NoSlot, SlotWaiter, WAIT_MS } from './slot-waiter.ts';
