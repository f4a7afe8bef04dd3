/** Pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Sizes that a service takes. */
export interface SizeLimits {
  /** Sides are multiples of it. */
  readonly step: number;
  readonly minSide: number;
  readonly maxSide: number;
  /** Of the shorter side; default as maxSide. */
  readonly maxShortSide?: number;
  readonly minPixels?: number;
  /** Of the long side to the short one. */
  readonly maxAspect?: number;
}

/**
 * The size nearest to what was asked that a service takes. The proportions stay as far as the limits let
 * them: the picture is resized to what was asked afterwards, and must not look stretched.
 */
export function fitSize(asked: Size, limits: SizeLimits): Size {
  const shaped = limitAspect(asked, limits.maxAspect ?? Infinity);
  const factor = findFactor(shaped, limits);
  const snaps = [Math.round, Math.ceil, Math.floor].map((round) => {
    const snap = (side: number): number => {
      const stepped = round((side * factor) / limits.step) * limits.step;
      return Math.min(Math.max(stepped, limits.minSide), limits.maxSide);
    };
    return { width: snap(shaped.width), height: snap(shaped.height) };
  });
  return snaps.find((size) => isAllowed(size, limits)) ?? snaps[0] ?? asked;
}

/** Makes the short side longer. */
function limitAspect({ width, height }: Size, maxAspect: number): Size {
  return {
    width: Math.max(width, height / maxAspect),
    height: Math.max(height, width / maxAspect),
  };
}

function findFactor({ width, height }: Size, limits: SizeLimits): number {
  const pixels = width * height;
  const least = Math.max(
    limits.minSide / Math.min(width, height),
    Math.sqrt((limits.minPixels ?? 0) / pixels),
  );
  const most = Math.min(
    limits.maxSide / Math.max(width, height),
    (limits.maxShortSide ?? Infinity) / Math.min(width, height),
  );
  return Math.min(Math.max(1, least), most);
}

function isAllowed({ width, height }: Size, limits: SizeLimits): boolean {
  const isLargeEnough = width * height >= (limits.minPixels ?? 0);
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const isShaped = long <= short * (limits.maxAspect ?? Infinity);
  return isLargeEnough && isShaped && short <= (limits.maxShortSide ?? Infinity);
}

/** `1024x768`: how sizes are written in requests and reports. */
export function formatSize({ width, height }: Size): string {
  return `${width}x${height}`;
}
