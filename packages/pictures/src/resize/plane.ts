/** One frame of interleaved float samples. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly samples: Float32Array;
}
