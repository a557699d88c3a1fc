import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { SettingsError } from './settings.js'

/** PEM texts as Node's TLS takes them: plain data, for worker threads too. Never log them: one is a private key. */
export interface TlsTexts {
  /** Of the authorities that are trusted; without it those Node.js knows. */
  ca?: string
  cert?: string
  key?: string
}

/** What `KAFKA_SSL`, `KAFKA_SSL_CA_FILE` and the like say; '' = no file. */
export interface TlsSettings {
  on: boolean
  caFile: string
  certFile: string
  keyFile: string
}

/**
 * Reads the files of one server's TLS settings, once: a changed file counts from the next start of the process.
 * @param prefix of the settings' names, for messages: `KAFKA` of `KAFKA_SSL_CA_FILE`
 * @returns undefined without TLS
 * @throws SettingsError for settings that only make sense together and files that cannot be used
 */
export function readTls(prefix: string, { on, caFile, certFile, keyFile }: TlsSettings): TlsTexts | undefined {
  const files = [
    { kind: 'ca', setting: `${prefix}_SSL_CA_FILE`, file: caFile },
    { kind: 'cert', setting: `${prefix}_SSL_CERT_FILE`, file: certFile },
    { kind: 'key', setting: `${prefix}_SSL_KEY_FILE`, file: keyFile },
  ].filter(({ file }) => file !== '')
  const mistakes: string[] = []
  if (!on) mistakes.push(...files.map(({ setting }) => `${setting}: is for TLS only: set ${prefix}_SSL=true too`))
  if ((certFile === '') !== (keyFile === '')) {
    mistakes.push(`${prefix}_SSL_CERT_FILE and ${prefix}_SSL_KEY_FILE: one needs the other`)
  }
  const texts: Record<string, string> = {}
  for (const { kind, setting, file } of files) {
    try {
      texts[kind] = readFileSync(file, 'utf8')
      if (!texts[kind].includes('-----BEGIN ')) mistakes.push(`${setting}: ${file} is no PEM file`)
    } catch (error) {
      mistakes.push(`${setting}: cannot read ${file} (${(error as NodeJS.ErrnoException).code})`)
    }
  }
  if (mistakes.length === 0) {
    try {
      createSecureContext(texts)
    } catch (error) {
      const names = files.map(({ setting }) => setting).join(', ')
      mistakes.push(`${names}: these files cannot be used together: ${(error as Error).message}`)
    }
  }
  if (mistakes.length > 0) throw new SettingsError(mistakes)
  return on ? texts : undefined
}
