import { spawn, type ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * Ends our children when we cannot: a shell in a session of its own reads from a pipe whom to look after. The system
 * closes the pipe when we die, however we die (kill -9 included); the shell then ends whoever is left, the youngest
 * first, and removes the folders it was told of. About 1 MB of memory; nothing but POSIX sh.
 */
const SCRIPT = `
trap '' HUP INT TERM
pids=''
dirs=''
newline='
'
while read -r verb what; do
  case $verb in
    add) pids="$what $pids" ;;
    forget)
      left=''
      for pid in $pids; do [ "$pid" = "$what" ] || left="$left $pid"; done
      pids=$left ;;
    remove) dirs="$dirs$what$newline" ;;
  esac
done
for pid in $pids; do
  kill -TERM "$pid" 2>/dev/null || continue
  ticks=0
  while kill -0 "$pid" 2>/dev/null && [ $ticks -lt 50 ]; do sleep 0.2; ticks=$((ticks + 1)); done
  kill -KILL "-$pid" 2>/dev/null
done
IFS=$newline
for dir in $dirs; do rm -rf -- "$dir"; done
`

let shell: ChildProcess | undefined

function tell(line: string): void {
  if (shell === undefined) {
    shell = spawn('/bin/sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    shell.on('error', () => undefined)
    shell.unref()
    const pipe = shell.stdin as Writable & { unref?(): void }
    pipe.on('error', () => undefined) // a watchdog that was killed protects no longer, and harms nothing
    pipe.unref?.()
  }
  shell.stdin?.write(`${line}\n`)
}

/** The watchdog of this process, started with the first child that needs it. */
export const watchdog = {
  /** Ends this process group when we die. */
  add: (pid: number) => tell(`add ${pid}`),
  /** The process has ended: its number may soon belong to somebody else. */
  forget: (pid: number) => tell(`forget ${pid}`),
  /** Removes this folder when we end or die. */
  remove: (dir: string) => tell(`remove ${dir}`),
}
