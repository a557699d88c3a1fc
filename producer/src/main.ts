#!/usr/bin/env node
import { kafkaConfig } from '@candlewick/service/kafka-settings'
import { runProcess } from '@candlewick/service/process'
import { startProducer } from './app.js'
import { checkCompression, chooseFeed, PRODUCER_SETTINGS } from './settings.js'

runProcess({
  name: 'producer',
  summary: 'reads trades from a feed, validates them and puts them on Kafka.',
  environment: {
    HTTPS_PROXY: 'proxy on the way to a feed with wss://, as http://host:port (HTTP_PROXY: with ws://)',
    NO_PROXY: 'hosts that are reached without it, comma separated',
  },
  settings: PRODUCER_SETTINGS,
  checks: [chooseFeed, checkCompression, (settings) => kafkaConfig(settings, 'producer')],
  run: async (context) => {
    await startProducer(context)
  },
})
