import { dashboard, dataSourceVariable, promql, PROMETHEUS, type PanelSpec } from './build.js'

/** Over the last few scrapes; Grafana makes the time of it from the scrape interval. */
const rate = (metric: string, labels = '') => `rate(${metric}${labels === '' ? '' : `{${labels}}`}[$__rate_interval])`

/** 50, 95 and 99 of 100 were faster. */
function quantiles(metric: string, by = '') {
  const labels = by === '' ? 'le' : `le, ${by}`
  const legend = by === '' ? '' : `{{${by}}} `
  return [0.5, 0.95, 0.99].map((quantile) =>
    promql(
      `histogram_quantile(${quantile}, sum by (${labels}) (${rate(`${metric}_bucket`)}))`,
      `${legend}p${quantile * 100}`,
    ),
  )
}

const p99 = (metric: string, by: string) =>
  promql(`histogram_quantile(0.99, sum by (le, ${by}) (${rate(`${metric}_bucket`)}))`, `{{${by}}}`)

const stat = (spec: Omit<PanelSpec, 'type' | 'width' | 'height'>): PanelSpec => ({
  type: 'stat',
  width: 4,
  height: 4,
  ...spec,
})
const chart = (spec: Omit<PanelSpec, 'type' | 'width'> & { width?: number }): PanelSpec => ({
  type: 'timeseries',
  width: 8,
  min: 0,
  ...spec,
})

/** Metrics of the JMX exporters: observability/jmx. */
const JVM = 'job=~"candlewick-(kafka|cassandra)"'

export const pipeline = dashboard({
  uid: 'candlewick-pipeline',
  title: 'Candlewick: Pipeline',
  description: 'The system itself, from the feed to the browser. docs/metrics.md explains every metric.',
  refresh: '5s',
  time: { from: 'now-30m', to: 'now' },
  timepicker: { refresh_intervals: ['5s', '10s', '30s', '1m', '5m'] },
  variables: [dataSourceVariable('prometheus', 'Prometheus', PROMETHEUS)],
  sections: [
    {
      title: 'At a glance',
      panels: [
        stat({
          title: 'Feed',
          description: 'Whether the producer is connected to the feed.',
          unit: 'none',
          targets: [promql('max(candlewick_producer_connected)')],
          mappings: { 0: 'disconnected', 1: 'connected' },
          redBelow: 1,
        }),
        stat({
          title: 'Trades in',
          description: 'Trades a second that the producer hands to Kafka.',
          unit: 'ops',
          targets: [promql(`sum(${rate('candlewick_producer_trades_total')})`)],
        }),
        stat({
          title: 'End to end, p99',
          description: '99 of 100 chunks of trades were visible within this time after their oldest trade had arrived.',
          unit: 's',
          targets: [
            promql(`histogram_quantile(0.99, sum by (le) (${rate('candlewick_streams_end_to_end_seconds_bucket')}))`),
          ],
          redFrom: 1,
        }),
        stat({
          title: 'Waiting',
          description: 'Records that the processors have not processed yet.',
          unit: 'short',
          targets: [promql('sum(candlewick_streams_input_lag_records)')],
          redFrom: 10_000,
        }),
        stat({
          title: 'Dead letters, last hour',
          description: 'Records put aside on trades.dlq, by the producer, the processors and the sink.',
          unit: 'short',
          decimals: 0,
          targets: [
            promql('sum(increase(candlewick_producer_rejected_total[1h]))', 'producer'),
            promql('sum(increase(candlewick_streams_dead_letters_total[1h]))', 'processor'),
            promql('sum(increase(candlewick_sink_dead_letters_total[1h]))', 'sink'),
          ],
          redFrom: 1,
        }),
        stat({
          title: 'WebSocket clients',
          description: 'Connections that are open at the moment.',
          unit: 'none',
          targets: [promql('sum(candlewick_api_ws_clients)')],
        }),
      ],
    },
    {
      title: 'Throughput',
      panels: [
        chart({
          title: 'Trades into Kafka',
          description: 'What the producer hands over, by the feed it came from.',
          unit: 'ops',
          targets: [promql(`sum by (source) (${rate('candlewick_producer_trades_total')})`, '{{source}}')],
        }),
        chart({
          title: 'Records processed',
          description: 'By processor. A processor without partitions has nothing to do.',
          unit: 'ops',
          targets: [promql(`sum by (instance) (${rate('candlewick_streams_records_total')})`, '{{instance}}')],
        }),
        chart({
          title: 'Rows into Cassandra',
          description: 'Rows a second that are durable, by table.',
          unit: 'ops',
          targets: [promql(`sum by (table) (${rate('candlewick_sink_rows_total')})`, '{{table}}')],
        }),
        chart({
          title: 'Feed',
          description: 'Age of the last trade, and the time of the gaps trades may be missing of.',
          unit: 's',
          targets: [
            promql('max by (instance) (candlewick_producer_last_trade_age_seconds)', 'last trade'),
            promql(
              'sum by (cause) (increase(candlewick_producer_gap_seconds_total[$__rate_interval]))',
              'gap: {{cause}}',
            ),
          ],
        }),
        chart({
          title: 'Held by the producer',
          description: 'Bytes that Kafka has not acknowledged. At PRODUCER_BUFFER_MB the feed is not read any more.',
          unit: 'bytes',
          targets: [promql('sum by (instance) (candlewick_producer_buffered_bytes)', '{{instance}}')],
        }),
        chart({
          title: 'Dead letters',
          description: 'Records a second that were put aside, with the reason or the topic.',
          unit: 'ops',
          targets: [
            promql(`sum by (reason) (${rate('candlewick_producer_rejected_total')})`, 'producer: {{reason}}'),
            promql(
              `sum by (topic, stage) (${rate('candlewick_streams_dead_letters_total')})`,
              'processor: {{topic}}, {{stage}}',
            ),
            promql(`sum by (topic) (${rate('candlewick_sink_dead_letters_total')})`, 'sink: {{topic}}'),
          ],
        }),
        chart({
          title: 'Left out',
          description:
            'Records a second that came later than the grace of a window, and that an error handler decided to leave out.',
          unit: 'ops',
          width: 12,
          targets: [
            promql(`sum by (store) (${rate('candlewick_streams_late_records_total')})`, 'late: {{store}}'),
            promql(
              `sum by (topic, stage) (${rate('candlewick_streams_dropped_records_total')})`,
              'dropped: {{topic}}, {{stage}}',
            ),
          ],
        }),
        chart({
          title: 'Expired windows',
          description: 'Windows a second that retention let go of. Nothing is wrong with them: their time is over.',
          unit: 'ops',
          width: 12,
          targets: [promql(`sum by (instance) (${rate('candlewick_streams_expired_windows_total')})`, '{{instance}}')],
        }),
      ],
    },
    {
      title: 'Latency',
      panels: [
        chart({
          title: 'End to end',
          description:
            'From the arrival of a trade at the producer until its results are committed and visible: of every chunk of trades that is fetched, the oldest one.',
          unit: 's',
          targets: quantiles('candlewick_streams_end_to_end_seconds'),
        }),
        chart({
          title: 'Commit',
          description: 'From the end of an interval until its state is stored, processing going on meanwhile.',
          unit: 's',
          targets: quantiles('candlewick_streams_commit_seconds'),
        }),
        chart({
          title: 'Delivery to Kafka',
          description: 'From handing a batch of trades over until Kafka has acknowledged it.',
          unit: 's',
          targets: quantiles('candlewick_producer_delivery_latency_seconds'),
        }),
      ],
    },
    {
      title: 'Lag',
      panels: [
        chart({
          title: 'Processors, by partition',
          description: 'Records on each partition that are not processed yet.',
          unit: 'short',
          targets: [
            promql('sum by (topic, partition) (candlewick_streams_input_lag_records)', '{{topic}}-{{partition}}'),
          ],
        }),
        chart({
          title: 'Sink, by topic',
          description: 'Records that are not durable in Cassandra yet.',
          unit: 'short',
          targets: [promql('sum by (topic) (candlewick_sink_lag_records)', '{{topic}}')],
        }),
        chart({
          title: 'Live feed, by topic',
          description: 'Records that an API has not sent on to its WebSocket clients yet.',
          unit: 'short',
          targets: [promql('sum by (instance, topic) (candlewick_api_feed_lag_records)', '{{instance}} {{topic}}')],
        }),
      ],
    },
    {
      title: 'State',
      panels: [
        chart({
          title: 'Left to restore',
          description: 'Changelog records that are to be replayed before tasks run, by processor.',
          unit: 'short',
          targets: [promql('sum by (instance) (candlewick_streams_restore_remaining_records)', '{{instance}}')],
        }),
        chart({
          title: 'Restored',
          description:
            'Changelog records that were replayed. A restart of a processor with its volume needs a tail only.',
          unit: 'short',
          targets: [
            promql(
              'sum by (instance) (increase(candlewick_streams_restored_records_total[$__rate_interval]))',
              '{{instance}}',
            ),
          ],
        }),
        chart({
          title: 'Tasks',
          description: 'Tasks by what they are at. All of them RUNNING is the usual state.',
          unit: 'none',
          targets: [promql('sum by (instance, state) (candlewick_streams_tasks)', '{{instance}} {{state}}')],
          custom: { stacking: { mode: 'normal', group: 'A' } },
        }),
        chart({
          title: 'Rebalances, rollbacks, failed commits',
          description:
            'Rebalances come with every processor that starts or ends. A rollback repeats an interval; many of them are a fenced loop.',
          unit: 'short',
          targets: [
            promql(
              'sum by (instance) (increase(candlewick_streams_rebalances_total[$__rate_interval]))',
              '{{instance}} rebalances',
            ),
            promql(
              'sum by (instance) (increase(candlewick_streams_rollbacks_total[$__rate_interval]))',
              '{{instance}} rollbacks',
            ),
            promql(
              'sum by (instance) (increase(candlewick_streams_commit_errors_total[$__rate_interval]))',
              '{{instance}} failed commits',
            ),
          ],
        }),
        chart({
          title: 'Standby lag',
          description:
            'Changelog records that the standbys of a processor have still to replay. Growing for long: a takeover would have to replay them first.',
          unit: 'short',
          targets: [promql('sum by (instance) (candlewick_streams_standby_lag_records)', '{{instance}}')],
        }),
        chart({
          title: 'Standby staleness',
          description: 'How old the oldest answer of a standby of this processor may be.',
          unit: 's',
          targets: [promql('max by (instance) (candlewick_streams_standby_staleness_seconds)', '{{instance}}')],
        }),
        chart({
          title: 'Cache hits',
          description: 'Share of the uses of an object that found it in the cache; the others read it from the engine.',
          unit: 'percentunit',
          max: 1,
          targets: [
            promql(
              `sum by (instance) (${rate('candlewick_streams_cache_hits_total')}) / (sum by (instance) (${rate('candlewick_streams_cache_hits_total')}) + sum by (instance) (${rate('candlewick_streams_cache_misses_total')}))`,
              '{{instance}}',
            ),
          ],
        }),
        chart({
          title: 'Cache',
          description: 'Estimated size of the live objects of all stores.',
          unit: 'bytes',
          targets: [promql('sum by (instance) (candlewick_streams_cache_bytes)', '{{instance}}')],
        }),
        chart({
          title: 'Cache misses and evictions',
          description:
            'Objects a second that were read from the engine, and that were let go because the cache is full. Many of both: the cache is too small.',
          unit: 'ops',
          targets: [
            promql(`sum by (instance) (${rate('candlewick_streams_cache_misses_total')})`, '{{instance}} misses'),
            promql(`sum by (instance) (${rate('candlewick_streams_cache_evictions_total')})`, '{{instance}} evictions'),
          ],
        }),
      ],
    },
    {
      title: 'Cassandra sink',
      panels: [
        chart({
          title: 'Write time, p99',
          description: 'One write request: a batch of rows of one partition.',
          unit: 's',
          targets: [p99('candlewick_sink_write_seconds', 'table')],
        }),
        chart({
          title: 'Failed writes',
          description:
            'retry = Cassandra is slow or away, setup = tables or rights are missing, never = rows no table can hold.',
          unit: 'ops',
          targets: [promql(`sum by (kind) (${rate('candlewick_sink_errors_total')})`, '{{kind}}')],
        }),
        chart({
          title: 'Time without Cassandra',
          description: 'Share of the time in which Cassandra took no writes. That is lag, not loss.',
          unit: 'percentunit',
          max: 1,
          targets: [promql(`sum by (instance) (${rate('candlewick_sink_paused_seconds_total')})`, '{{instance}}')],
        }),
      ],
    },
    {
      title: 'API and live feed',
      panels: [
        chart({
          title: 'Requests',
          description: 'HTTP requests by status.',
          unit: 'reqps',
          targets: [promql(`sum by (status) (${rate('candlewick_api_requests_total')})`, '{{status}}')],
        }),
        chart({
          title: 'Request time, p99',
          description: 'By route.',
          unit: 's',
          targets: [p99('candlewick_api_request_duration_seconds', 'route')],
        }),
        chart({
          title: 'WebSocket clients',
          description: 'Connections open, by API.',
          unit: 'none',
          targets: [promql('sum by (instance) (candlewick_api_ws_clients)', '{{instance}}')],
        }),
        chart({
          title: 'WebSocket frames',
          description: 'Frames handed to sockets, by type, and what was encoded for them: once for all clients.',
          unit: 'ops',
          targets: [
            promql(`sum by (type) (${rate('candlewick_api_ws_frames_total')})`, '{{type}}'),
            promql(`sum(${rate('candlewick_api_ws_encodings_total')})`, 'encoded'),
          ],
        }),
        chart({
          title: 'WebSocket bytes',
          description: 'Bytes a second of those frames.',
          unit: 'Bps',
          targets: [promql(`sum by (instance) (${rate('candlewick_api_ws_bytes_total')})`, '{{instance}}')],
        }),
        chart({
          title: 'Slow clients',
          description: 'Updates replaced by later ones because a client was slow, and connections closed by us.',
          unit: 'ops',
          targets: [
            promql(`sum(${rate('candlewick_api_ws_conflated_total')})`, 'conflated'),
            promql(`sum by (reason) (${rate('candlewick_api_ws_closed_total')})`, 'closed: {{reason}}'),
          ],
        }),
      ],
    },
    {
      title: 'Processes',
      panels: [
        chart({
          title: 'CPU',
          description: 'CPU seconds a second: 1 = one core.',
          unit: 'none',
          targets: [promql(rate('candlewick_process_cpu_seconds_total'), '{{instance}}')],
        }),
        chart({
          title: 'Memory',
          description: 'Resident memory.',
          unit: 'bytes',
          targets: [promql('candlewick_process_resident_memory_bytes', '{{instance}}')],
        }),
        chart({
          title: 'Event loop delay, p99',
          description: 'How late timers fire. Growing means that a process computes more than it should at a time.',
          unit: 's',
          targets: [promql('candlewick_nodejs_eventloop_lag_p99_seconds', '{{instance}}')],
        }),
      ],
    },
    {
      title: 'Kafka and Cassandra',
      panels: [
        chart({
          title: 'Heap',
          description: 'Heap in use, and its bound.',
          unit: 'bytes',
          targets: [
            promql(`java_heap_used_bytes{${JVM}}`, '{{job}} {{instance}}'),
            promql(`java_heap_max_bytes{${JVM}}`, '{{job}} {{instance}} bound'),
          ],
        }),
        chart({
          title: 'Time in garbage collection',
          description: 'Share of the time. More than a tenth for long: the heap is too small.',
          unit: 'percentunit',
          targets: [promql(`sum by (job, instance) (${rate('java_gc_seconds_total', JVM)})`, '{{job}} {{instance}}')],
        }),
        chart({
          title: 'CPU',
          description: 'CPU seconds a second: 1 = one core.',
          unit: 'none',
          targets: [promql(rate('java_cpu_seconds_total', JVM), '{{job}} {{instance}}')],
        }),
        chart({
          title: 'Threads and open files',
          description: 'Both grow with the number of clients and partitions, then stay.',
          unit: 'none',
          targets: [
            promql(`java_threads{${JVM}}`, '{{job}} {{instance}} threads'),
            promql(`java_open_files{${JVM}}`, '{{job}} {{instance}} files'),
          ],
        }),
        chart({
          title: 'Kafka requests, p99',
          description: 'Time a request spends in the broker. Fetch waits for records on purpose, up to half a second.',
          unit: 's',
          targets: [promql('kafka_request_p99_seconds', '{{request}}')],
        }),
        chart({
          title: 'Cassandra requests, p99',
          description: 'Time a read and a write spend in the coordinator.',
          unit: 's',
          targets: [promql('cassandra_request_p99_seconds', '{{operation}}')],
        }),
      ],
    },
  ],
})
