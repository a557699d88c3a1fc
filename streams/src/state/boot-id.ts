import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/**
 * Tells one boot of this machine from another: unsynced writes survive the death of a process, not that of the machine.
 * @returns undefined where it cannot be known; then every start counts as a new boot
 */
export async function readBootId(platform: NodeJS.Platform = process.platform): Promise<string | undefined> {
  try {
    if (platform === 'linux') return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    if (platform === 'darwin') {
      const { stdout } = await promisify(execFile)('sysctl', ['-n', 'kern.bootsessionuuid'])
      return stdout.trim()
    }
  } catch {
    // A sandbox may hide it.
  }
  return undefined
}
