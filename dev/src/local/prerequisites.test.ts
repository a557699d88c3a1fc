import { expect, test } from 'vitest'
import { enoughDisk, javaVersion, nodeVersion } from '../../setup/prerequisites.mjs'

test('Node 20.19 and whatever is newer will do, older ones are named with what to do', () => {
  for (const version of ['20.19.0', '20.20.2', '22.1.0', '24.0.0']) expect(nodeVersion(version)).toBeUndefined()
  for (const version of ['18.20.4', '20.18.1'])
    expect(nodeVersion(version)).toMatch(/Node\.js 20\.19 .* 1?\d+.*install/)
})

test('Java 17 to 23 will do, which Cassandra runs on; versions are understood in the words of old and other Javas', () => {
  expect(javaVersion('openjdk version "17.0.15" 2025-04-15')).toBeUndefined()
  expect(javaVersion('openjdk version "21" 2023-09-19')).toBeUndefined()
  expect(javaVersion('java version "1.8.0_402"')).toMatch(/Java 17 to 23 .* is 8: install/)
  expect(javaVersion('openjdk version "11.0.22" 2024-01-16')).toMatch(/is 11/)
  expect(javaVersion('openjdk version "25.0.2" 2026-01-20 LTS')).toMatch(/is 25/)
  expect(javaVersion('some noise')).toMatch(/unknown version/)
})

test('less than 3 GB of free disk is told with how much there is', () => {
  expect(enoughDisk(3 * 1024 ** 3, '/x')).toBeUndefined()
  expect(enoughDisk(1.25 * 1024 ** 3, '/x')).toBe(
    '3 GB of free disk are needed, /x has 1.3 GB: free some (npm run reset clears the data of earlier runs)',
  )
})
