/** A part of a range as one task answers it. */
export interface TaskPage {
  readonly entries: readonly (readonly [key: Buffer, value: Buffer])[]
  /** The task has more behind the last one. */
  readonly more: boolean
}

/**
 * Puts the pages of the tasks together, in the order of keys. Behind the last entry of a page that was cut nothing is
 * known of its task, so the result ends there: it has no holes.
 * @param limit at most so many entries, but for further ones of the last key
 * @returns `more`: there are entries behind the last one
 */
export function mergePages(
  pages: readonly TaskPage[],
  { limit, reverse }: { limit: number; reverse: boolean },
): TaskPage {
  const compare = reverse ? (a: Buffer, b: Buffer) => b.compare(a) : (a: Buffer, b: Buffer) => a.compare(b)
  const ends = pages.filter(({ more }) => more).flatMap(({ entries }) => entries.at(-1)?.[0] ?? [])
  const [firstEnd] = ends.sort(compare)
  const known = pages
    .flatMap(({ entries }) => entries)
    .filter(([key]) => firstEnd === undefined || compare(key, firstEnd) <= 0)
    .sort(([a], [b]) => compare(a, b))
  // The next page begins behind the last key: one that several tasks have is not torn apart.
  let cut = limit
  while (cut < known.length && known[cut]![0].equals(known[cut - 1]![0])) cut++
  return { entries: known.slice(0, cut), more: firstEnd !== undefined || known.length > cut }
}
