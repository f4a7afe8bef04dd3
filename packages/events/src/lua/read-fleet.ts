import { RedisScript } from '@tiercel/runtime';

/** A worker that is up, or was not long ago. */
interface FleetMember {
  readonly profile: string;
  readonly isLive: boolean;
  readonly isDrained: boolean;
  /** Hash of its node catalogue. */
  readonly catalogue: string;
}

/** The profiles of the workers that are up, or were not long ago. */
export const readFleetScript = new RedisScript({
  wrapper: import.meta.url,
  args: ['prefix', 'ttl_ms', 'known_ms'],
  parse: (reply): FleetMember[] => {
    const fields = reply as (string | number)[];
    const members: FleetMember[] = [];
    for (let at = 0; at < fields.length; at += 4) {
      const [profile, isLive, isDrained, catalogue] = fields.slice(at, at + 4);
      members.push({
        profile: String(profile),
        isLive: isLive === 1,
        isDrained: isDrained === 1,
        catalogue: String(catalogue),
      });
    }
    return members;
  },
});
