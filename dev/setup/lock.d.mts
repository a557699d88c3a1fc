/** A process as another one can check that it is still the same: by pid and start (epoch ms, to the second). */
export interface ProcessMark {
  pid: number
  startMs: number
}
export function processStartMs(pid: number): number | undefined
export function isSameProcess(mark: ProcessMark): boolean
export function thisProcess(): ProcessMark
export function withLock<T>(path: string, onWait: (owner: { pid: number }) => void, work: () => Promise<T>): Promise<T>
