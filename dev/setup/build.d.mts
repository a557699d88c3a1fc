export function isInstalled(rootDir: string): boolean
export function install(rootDir: string): Promise<void>
export function compile(rootDir: string): Promise<void>
export function isPageBuilt(rootDir: string): boolean
export function buildPage(rootDir: string): Promise<void>
