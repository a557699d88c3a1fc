import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import forge from 'node-forge'

/** PEM files of a certificate. */
export interface CertificateFiles {
  certFile: string
  /** PKCS#8, without a password. */
  keyFile: string
  /** Key and certificate in one file, as Kafka and Cassandra want theirs. */
  storeFile: string
}

const DAY_MS = 86_400_000

/** A certificate authority of a test's own; all it makes lies in `dir`. */
export class TestAuthority {
  readonly caFile: string
  readonly #dir: string
  readonly #name: forge.pki.CertificateField[]
  readonly #keys: forge.pki.KeyPair

  constructor(dir: string, name = 'candlewick test authority') {
    this.#dir = dir
    this.#name = [{ name: 'commonName', value: name }]
    this.#keys = keyPair()
    const certificate = this.#certify(this.#name, this.#keys.publicKey, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ])
    this.caFile = this.#write(`ca-${randomBytes(4).toString('hex')}.pem`, certificate)
  }

  /** A certificate for 127.0.0.1 and localhost, good for servers and clients, as PEM files `<name>.*`. */
  issue(name: string): CertificateFiles {
    const keys = keyPair()
    const certificate = this.#certify([{ name: 'commonName', value: name }], keys.publicKey, [
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [LOOPBACK_IP, LOCALHOST] },
    ])
    const key = forge.pki.privateKeyInfoToPem(forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(keys.privateKey)))
    return {
      certFile: this.#write(`${name}.pem`, certificate),
      keyFile: this.#write(`${name}.key`, key),
      storeFile: this.#write(`${name}.store.pem`, key + certificate),
    }
  }

  #certify(subject: forge.pki.CertificateField[], publicKey: forge.pki.PublicKey, extensions: object[]): string {
    const certificate = forge.pki.createCertificate()
    certificate.publicKey = publicKey
    certificate.serialNumber = `01${randomBytes(8).toString('hex')}`
    certificate.validity.notBefore = new Date(Date.now() - DAY_MS)
    certificate.validity.notAfter = new Date(Date.now() + DAY_MS)
    certificate.setSubject(subject)
    certificate.setIssuer(this.#name)
    certificate.setExtensions(extensions)
    certificate.sign(this.#keys.privateKey as forge.pki.rsa.PrivateKey, forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate)
  }

  #write(name: string, pem: string): string {
    const file = join(this.#dir, name)
    writeFileSync(file, pem.replaceAll('\r\n', '\n'), { mode: 0o600 })
    return file
  }
}

/** Types of RFC 5280's GeneralName. */
const LOCALHOST = { type: 2, value: 'localhost' }
const LOOPBACK_IP = { type: 7, ip: '127.0.0.1' }

/** Node makes keys much faster than JavaScript does. */
function keyPair(): forge.pki.KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return { publicKey: forge.pki.publicKeyFromPem(publicKey), privateKey: forge.pki.privateKeyFromPem(privateKey) }
}
