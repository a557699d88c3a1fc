import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { LocalState } from './local-state.js'

it('is nothing where the application never ran, and a mistake where there is no directory', async () => {
  const root = await mkdtemp(join(tmpdir(), 'local-state-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  expect(await LocalState.open(root, 'app')).toBeUndefined()

  await writeFile(join(root, 'file'), '')
  for (const name of ['misspelled', 'file']) {
    const path = join(root, name)
    await expect(LocalState.open(path, 'app')).rejects.toThrow(`--state-dir ${path}: there is no directory ${path}`)
  }
})
