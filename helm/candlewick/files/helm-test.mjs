// What `helm test` runs inside the cluster: asks the API at $API until each answer is as it should be.
import { setTimeout as delay } from 'node:timers/promises'

const api = process.env.API
const deadlineMs = performance.now() + 120_000

async function get(path) {
  const answer = await fetch(`${api}${path}`, { signal: AbortSignal.timeout(5_000) })
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`)
  return answer
}

/** Asks again until `ask` gives something; each outcome is one line. */
async function check(what, ask) {
  let reason = 'not yet'
  while (performance.now() < deadlineMs) {
    try {
      const found = await ask()
      if (found) {
        console.log(`ok: ${what}`)
        return found
      }
    } catch (error) {
      reason = error.message
    }
    await delay(500)
  }
  console.error(`FAILED: ${what}: ${reason}`)
  process.exit(1)
}

const symbols = async () => (await (await get('/symbols')).json()).symbols
const counted = async () => (await symbols()).reduce((sum, { average }) => sum + average.count, 0)

await check('the API is ready', () => get('/readyz'))
await check('the page is there', async () => (await (await get('/')).text()).includes('<html'))
if (process.env.TRADES_FLOW === 'true') {
  const before = await check('trades are counted', counted)
  await check('more trades come', async () => (await counted()) > before)
  const [{ symbol }] = await symbols()
  const path = `/symbols/${encodeURIComponent(symbol)}/trades?limit=1`
  await check('Cassandra keeps them', async () => (await (await get(path)).json()).trades.length === 1)
  await check('a WebSocket gets them', async () => {
    const socket = new WebSocket(`${api.replace('http', 'ws')}/ws`)
    try {
      return await new Promise((resolve, reject) => {
        socket.onopen = () => socket.send(JSON.stringify({ op: 'subscribe', channel: 'prices', symbols: ['*'] }))
        socket.onmessage = ({ data }) => data.includes(symbol) && resolve(true)
        socket.onerror = () => reject(new Error('the WebSocket failed'))
        setTimeout(resolve, 5_000, false)
      })
    } finally {
      socket.close()
    }
  })
}
process.exit(0)
