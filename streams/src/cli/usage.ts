export const USAGE = `streams: looks at and resets applications of @candlewick/streams

  streams describe --application-id ID ...   who runs its tasks, and how far they are
  streams reset --application-id ID ...      takes back what it has done, so that it starts over

  --help after a command tells its arguments. Exit codes: 0 done, 1 not done (one line says why), 2 wrong arguments.
`

const CONNECTION = `  --application-id ID  as in KafkaStreamsOptions: names the group and the internal topics
  --brokers H:P[,H:P]  brokers to ask first
  --config FILE        instead or besides: a JSON file of KafkaConfig, for TLS and logins
                       { "brokers": ["k:9093"], "ssl": { "ca": "PEM" }, "sasl": { "mechanism": "scram-sha-512", ... } }
                       ssl may be true, or have ca, cert and key as PEM texts, and servername`

export const DESCRIBE_USAGE = `streams describe --application-id ID (--brokers H:P[,H:P] | --config FILE) [--json]

  Shows the group with its members, and each task: the instance that runs it, its standbys, what it has committed of its
  inputs, how many records it is behind, and where its changelogs end.

${CONNECTION}
  --json               the same for machines: one JSON object
  --help               this
`

export const RESET_USAGE = `streams reset --application-id ID (--brokers H:P[,H:P] | --config FILE) [--state-dir DIR ...] [--to WHERE] [--execute]

  Deletes the internal topics of an application (named ID-...-changelog or ID-...-repartition) and its local state, and
  moves its committed offsets. Without --execute it only shows what it would do. All instances have to be stopped. Output
  topics stay as they are: an application that starts over writes its results again. So a topic that the application both
  writes and reads has to be emptied first, before the reset, or its records count twice: delete it and make it again.

  When it was interrupted, the application refuses to start until the same command has run to its end.

${CONNECTION}
  --state-dir DIR      the application's stateDir on this machine; may be given several times. State on other machines
                       is dropped by itself when they start, because it belongs to changelogs that are gone; with
                       --to none delete it yourself: a task without stores would go on where it ends
  --to WHERE           where the application begins again:
                       earliest         the oldest records there are (default)
                       latest           what comes from now on
                       an ISO time      the first records of then or later, as 2026-11-21T09:00:00Z, by record timestamp
                       none             no offsets at all, as an application that never ran: at its first start it
                                        begins at the oldest records there are then
  --execute            do it
  --help               this
`
