/** What is wrong with a picture. */
export type PictureProblem =
  'empty' | 'unknown_format' | 'unreadable' | 'too_large' | 'size_differs';

/** The exception classes that Python programs know for these; clients see them as `exception_type`. */
const EXCEPTION_TYPES: Readonly<Record<PictureProblem, string>> = {
  empty: 'UnidentifiedImageError',
  unknown_format: 'UnidentifiedImageError',
  unreadable: 'OSError',
  too_large: 'ValueError',
  size_differs: 'ValueError',
};

/** A picture that cannot be used. The message is a sentence for the caller and never holds a machine path. */
export class PictureError extends Error {
  readonly problem: PictureProblem;

  constructor(problem: PictureProblem, message: string, options: { cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = EXCEPTION_TYPES[problem];
    this.problem = problem;
  }
}
