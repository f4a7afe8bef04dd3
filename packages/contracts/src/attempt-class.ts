/** What a failed attempt says about the next one. */
export type AttemptClass =
  | 'caller'
  | 'safety'
  | 'unsupported'
  | 'config'
  | 'quota'
  | 'rate'
  | 'capacity'
  | 'timeout'
  | 'network'
  | 'server'
  | 'bad_output';
