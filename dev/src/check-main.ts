/**
 * Checks the settings of several processes: `node check-main.js MAIN...` runs each main file with `--check`. All in this
 * one process, because loading the libraries they share takes longer than all checks.
 */
import { pathToFileURL } from 'node:url'

for (const main of process.argv.slice(2)) {
  process.argv = [process.execPath, main, '--check']
  await import(pathToFileURL(main).href)
}
