import { messageOf, StreamsError } from '../errors.js'

/** The disk or its use is the problem, not what lies on it. */
const FULL = /no space left|disk quota exceeded|ENOSPC|EDQUOT/i
const DENIED = /permission denied|operation not permitted|read-only file system|not a directory|EACCES|EPERM|EROFS/i
const TOO_MANY_FILES = /too many open files|EMFILE|ENFILE/i
const DAMAGED = /corrupt|no such file|not found|missing|invalid argument|does not match/i

/** What an engine or the file system says at the bottom: Level's own errors wrap it. */
function rootOf(error: unknown): unknown {
  let root = error
  while (root instanceof Error && root.cause !== undefined) root = root.cause
  return root
}

function codesOf(error: unknown): unknown[] {
  const codes: unknown[] = []
  for (let at = error; at instanceof Error; at = at.cause) codes.push((at as { code?: unknown }).code)
  return codes
}

/** What an engine that could not be opened or used says of it. */
export function problemOf(error: unknown): string {
  return messageOf(rootOf(error))
}

/** An engine has met damage in what it reads. */
export function isCorruption(error: unknown): boolean {
  return codesOf(error).includes('LEVEL_CORRUPTION')
}

/** An engine does not open because of what lies in its directory: without it, it would. */
export function isDamage(error: unknown): boolean {
  const problem = problemOf(error)
  if (isCorruption(error)) return true
  return !isLocked(error) && ![FULL, DENIED, TOO_MANY_FILES].some((one) => one.test(problem)) && DAMAGED.test(problem)
}

/** The disk does not take or give what it should, as opposed to an engine that is closed or is used in a wrong way. */
export function isOfDisk(error: unknown): boolean {
  const isIo = codesOf(error).includes('LEVEL_IO_ERROR') || problemOf(error).startsWith('IO error')
  return isIo || [FULL, DENIED, TOO_MANY_FILES].some((one) => one.test(problemOf(error)))
}

/** Another process has it open. */
export function isLocked(error: unknown): boolean {
  return codesOf(error).includes('LEVEL_LOCKED')
}

/**
 * What is to be done about a directory of state that cannot be used.
 * @param what lies there: `the state of task 0_3`
 */
export function unusable(what: string, directory: string, error: unknown, task?: string): StreamsError {
  const problem = problemOf(error)
  return new StreamsError(
    'STATE',
    `${what} in ${directory} cannot be used (${problem}): ${remedyFor(error, problem)}`,
    task === undefined ? {} : { task },
    { cause: error },
  )
}

function remedyFor(error: unknown, problem: string): string {
  if (isLocked(error)) return 'another process has it open: stop that one, or give each process a stateDir of its own'
  if (FULL.test(problem))
    return 'the disk is full: free some space there and start again; nothing is lost, what was not stored yet is replayed'
  if (DENIED.test(problem)) return 'let the user of this process write there, or set another stateDir'
  if (TOO_MANY_FILES.test(problem)) return 'raise the limit of open files (ulimit -n) and start again'
  return 'check the disk; if it is sound, delete that directory, and it is restored from its changelogs'
}
