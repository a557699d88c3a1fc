#!/usr/bin/env node
import { runProcess } from '@candlewick/service/process'
import { startProducer } from './app.js'
import { PRODUCER_SETTINGS } from './settings.js'

runProcess({
  name: 'producer',
  summary: 'reads trades from a feed, validates them and puts them on Kafka.',
  settings: PRODUCER_SETTINGS,
  run: async (context) => {
    const url = await startProducer(context)
    context.log.info({ url }, 'up')
  },
})
