export function missingPrerequisites(rootDir: string): string[]
export function nodeVersion(version: string): string | undefined
export function javaVersion(output: string, command?: string): string | undefined
export function enoughDisk(freeBytes: number, rootDir: string): string | undefined
