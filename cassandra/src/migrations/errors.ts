/** The tables cannot be brought to the current version; the message says why and what to do. */
export class MigrationError extends Error {
  readonly code = 'MIGRATION'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'MigrationError'
  }
}
