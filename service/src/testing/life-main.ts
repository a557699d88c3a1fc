/** A process for tests of process.ts: SCRIPT says how it lives, CLOSE_TIMEOUT_MS how
 * long it may take to end; on stdout it tells what it comes by. */
import { runProcess, StartError } from '../process.js'
import { integer, str } from '../settings.js'

const SCRIPTS = {
  service: 'serves until it is told to end',
  job: 'ends when its work is done',
  stuck: 'has a part that never closes',
  failing: 'has a part that cannot be closed',
  missing: 'misses a prerequisite',
  broken: 'has a bug',
  rejecting: 'forgets about a promise that rejects',
  later: 'finds out later that it cannot go on',
} as const

const tell = (line: string) => process.stdout.write(`${line}\n`)

runProcess({
  name: 'life',
  summary: 'lives as it is told.',
  settings: {
    SCRIPT: str({
      choices: Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[],
      default: 'service',
      desc: 'how it lives',
    }),
    PARTS: integer(1)({ default: 2, desc: 'how many parts it opens' }),
  },
  environment: { NODE_EXTRA_CA_CERTS: 'what Node.js reads itself' },
  kind: process.env['SCRIPT'] === 'job' ? 'job' : 'service',
  closeTimeoutMs: Number(process.env['CLOSE_TIMEOUT_MS'] ?? 300),
  async run({ settings, onClose, fail }) {
    for (let part = 1; part <= settings.PARTS; part++) onClose(`part ${part}`, () => void tell(`closed ${part}`))
    // Something that keeps the process alive, as a server does.
    if (settings.SCRIPT !== 'job') setInterval(() => undefined, 1_000)
    switch (settings.SCRIPT) {
      case 'stuck':
        onClose('stuck', () => new Promise(() => undefined))
        break
      case 'failing':
        onClose('failing', () => Promise.reject(new Error('it does not close')))
        break
      case 'missing':
        throw new StartError('port 1 is taken: set PARTS')
      case 'broken':
        throw new TypeError('a bug')
      case 'rejecting':
        void Promise.reject(new Error('forgotten'))
        break
      case 'later':
        setTimeout(() => fail(new StartError('the key is refused')), 10)
        break
      case 'service':
      case 'job':
    }
    tell('up')
  },
})
