{{/* What all pods have in common. Takes {root, user, pull}. Every pod passes the restricted Pod Security Standard. */}}
{{- define "candlewick.podDefaults" -}}
serviceAccountName: {{ include "candlewick.fullname" .root }}
automountServiceAccountToken: false
# Else a service named `api` would set API_PORT, and one named `kafka` would set KAFKA_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "candlewick.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Where a pod runs. Takes {root, component, values}. */}}
{{- define "candlewick.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if hasKey .values "topologySpreadConstraints" }}
{{- if kindIs "invalid" .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "candlewick.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- else if .values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod. Takes {root, component, values, uses}; a pod is replaced when what it uses changes. */}}
{{- define "candlewick.podMetadata" -}}
# Without versions: another version of the chart alone replaces no pod.
labels:
  {{- include "candlewick.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/part-of: candlewick
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  {{- range .uses }}
  {{- if eq . "token" }}
  {{- if not $.root.Values.internalToken.existingSecret }}
  checksum/token: {{ include "candlewick.generatedToken" $.root | sha256sum }}
  {{- end }}
  {{- else }}
  checksum/{{ . }}: {{ include (printf "candlewick.%s.data" .) $.root | sha256sum }}
  {{- end }}
  {{- end }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Settings by ConfigMap. Takes {root, uses: [kafka, cassandra]}. */}}
{{- define "candlewick.envFrom" -}}
{{- range without .uses "token" }}
- configMapRef: { name: {{ include "candlewick.fullname" $.root }}-{{ . }}-settings }
{{- end }}
{{- end -}}

{{/*
Environment of a container of ours besides the ConfigMaps. Takes {root, uses, more: {NAME: value}, env: {NAME: value}, of}.
`more` is what the chart decides, `env` is <of>.env of the values: it may say HOST and LOG_LEVEL otherwise, but nothing that
has a value of its own, which other resources (ConfigMaps, ports, NetworkPolicies) go by.
*/}}
{{- define "candlewick.env" -}}
{{- $ours := concat (list "INSTANCE_ID" "ADVERTISED_URL") (keys (default dict .more)) -}}
{{- range without .uses "token" -}}
{{- $ours = concat $ours (include (printf "candlewick.%s.data" .) $.root | fromYaml | keys) -}}
{{- end -}}
{{- range $name := keys .env -}}
{{- $place := get (include "candlewick.settingsWithValue" $ | fromYaml) $name -}}
{{- if or $place (has $name $ours) -}}
{{- fail (printf "%s.env.%s: the chart sets %s itself; %s" $.of $name $name (empty $place | ternary "leave it out" (printf "set %s instead" $place))) -}}
{{- end -}}
{{- end -}}
{{- if has "token" .uses }}
- name: INTERNAL_TOKEN
  valueFrom: { secretKeyRef: { name: {{ include "candlewick.tokenSecret" .root }}, key: {{ .root.Values.internalToken.key }} } }
{{- end }}
{{- range without .uses "token" }}
{{- with include (printf "candlewick.%s.env" .) $.root }}
{{ . }}
{{- end }}
{{- end }}
{{- range $name, $value := merge (dict) .env (default dict .more) (dict "HOST" "0.0.0.0" "LOG_LEVEL" .root.Values.logLevel) }}
- { name: {{ $name }}, value: {{ toString $value | quote }} }
{{- end }}
{{- end -}}

{{/* Setting -> the value it has, also where it is not set at the moment. */}}
{{- define "candlewick.settingsWithValue" -}}
KAFKA_BROKERS: kafka.mode
KAFKA_SSL: kafka.external.tls
KAFKA_SSL_CA_FILE: kafka.external.tls
KAFKA_SSL_CERT_FILE: kafka.external.tls
KAFKA_SSL_KEY_FILE: kafka.external.tls
KAFKA_SASL_MECHANISM: kafka.external.sasl
KAFKA_SASL_USERNAME: kafka.external.sasl
KAFKA_SASL_PASSWORD: kafka.external.sasl
TOPIC_PREFIX: topicPrefix
REPLICATION_FACTOR: kafka.topics.replicationFactor
CASSANDRA_CONTACT_POINTS: cassandra.mode
CASSANDRA_PORT: cassandra.external.port
CASSANDRA_LOCAL_DATACENTER: cassandra.external.localDatacenter
CASSANDRA_KEYSPACE: cassandra.keyspace
CASSANDRA_CONSISTENCY: cassandra.consistency
CASSANDRA_SSL: cassandra.external.tls
CASSANDRA_SSL_CA_FILE: cassandra.external.tls
CASSANDRA_SSL_CERT_FILE: cassandra.external.tls
CASSANDRA_SSL_KEY_FILE: cassandra.external.tls
CASSANDRA_USERNAME: cassandra.external.existingSecret
CASSANDRA_PASSWORD: cassandra.external.existingSecret
INTERNAL_TOKEN: internalToken.existingSecret
APPLICATION_ID: applicationId
DAY_TIME_ZONE: dayTimeZone
COMMIT_INTERVAL_MS: processor.commitIntervalMs
COMMIT_RECORDS: processor.commitRecords
STANDBY_REPLICAS: processor.standbyReplicas
GUARANTEE: processor.guarantee
CACHE_MB: processor.cacheMb
SESSION_TIMEOUT_MS: processor.sessionTimeoutMs
SINK: processor.sink
PRODUCER_BUFFER_MB: producer.bufferMb
SYMBOLS: feed.symbols
FINNHUB_URL: feed.finnhub.url
FINNHUB_API_KEY: feed.finnhub.existingSecret
HTTPS_PROXY: feed.finnhub.httpsProxy or feed.finnhub.proxySecret
NO_PROXY: feed.finnhub.noProxy
ALLOWED_ORIGINS: queryApi.allowedOrigins
{{- end -}}

{{/* Probes of a service of ours. A pod that restores or waits for Kafka is alive: only /readyz says that it is not ready. */}}
{{- define "candlewick.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}
