{{/*
How our processes reach Kafka and Cassandra: for each a ConfigMap's data, environment from secrets, and the volume with the
authority's certificate. Every mode fills the same names, so that nothing else has to know the mode.
*/}}

{{/* {bootstrap, tls, caSecret {name, key}, mechanism, secret, usernameKey, passwordKey, user} as YAML. */}}
{{- define "candlewick.kafka" -}}
{{- $kafka := .Values.kafka -}}
{{- $fullname := include "candlewick.fullname" . -}}
{{- if eq $kafka.mode "dev" -}}
bootstrap: [{{ printf "%s:9092" (include "candlewick.host" (dict "root" . "component" "kafka")) | quote }}]
tls: false
mechanism: ""
{{- else if eq $kafka.mode "operator" -}}
bootstrap: [{{ printf "%s-kafka-kafka-bootstrap.%s.svc.%s:9093" $fullname .Release.Namespace .Values.clusterDomain | quote }}]
tls: true
caSecret: { name: {{ $fullname }}-kafka-cluster-ca-cert, key: ca.crt }
mechanism: scram-sha-512
# Strimzi writes the password of a KafkaUser into a secret of the user's name; the name itself is the user.
secret: {{ $fullname }}-client
user: {{ $fullname }}-client
passwordKey: password
{{- else -}}
{{- if not $kafka.external.bootstrapServers }}{{ fail "kafka.mode external needs kafka.external.bootstrapServers" }}{{ end -}}
{{- if and $kafka.external.sasl.mechanism (not $kafka.external.sasl.existingSecret) }}{{ fail "kafka.external.sasl.mechanism needs kafka.external.sasl.existingSecret" }}{{ end -}}
bootstrap: {{ toJson $kafka.external.bootstrapServers }}
tls: {{ $kafka.external.tls.enabled }}
{{- include "candlewick.tlsSecrets" $kafka.external.tls }}
mechanism: {{ $kafka.external.sasl.mechanism | quote }}
secret: {{ $kafka.external.sasl.existingSecret | quote }}
usernameKey: {{ $kafka.external.sasl.usernameKey }}
passwordKey: {{ $kafka.external.sasl.passwordKey }}
{{- end -}}
{{- end -}}

{{- define "candlewick.kafka.data" -}}
{{- $kafka := include "candlewick.kafka" . | fromYaml -}}
KAFKA_BROKERS: {{ join "," $kafka.bootstrap | quote }}
TOPIC_PREFIX: {{ .Values.topicPrefix | quote }}
{{- if $kafka.tls }}
KAFKA_SSL: "true"
{{- end }}
{{- if $kafka.caSecret }}
KAFKA_SSL_CA_FILE: /etc/candlewick/kafka/ca.crt
{{- end }}
{{- if $kafka.clientSecret }}
KAFKA_SSL_CERT_FILE: /etc/candlewick/kafka/tls.crt
KAFKA_SSL_KEY_FILE: /etc/candlewick/kafka/tls.key
{{- end }}
{{- if $kafka.mechanism }}
KAFKA_SASL_MECHANISM: {{ $kafka.mechanism }}
{{- end }}
{{- end -}}

{{- define "candlewick.kafka.env" -}}
{{- $kafka := include "candlewick.kafka" . | fromYaml -}}
{{- if $kafka.mechanism -}}
- name: KAFKA_SASL_USERNAME
  {{- if $kafka.user }}
  value: {{ $kafka.user }}
  {{- else }}
  valueFrom: { secretKeyRef: { name: {{ $kafka.secret }}, key: {{ $kafka.usernameKey }} } }
  {{- end }}
- name: KAFKA_SASL_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ $kafka.secret }}, key: {{ $kafka.passwordKey }} } }
{{- end -}}
{{- end -}}

{{/* {contactPoints, port, datacenter, replication, tls, caSecret, secret, usernameKey, passwordKey} as YAML. */}}
{{- define "candlewick.cassandra" -}}
{{- $cassandra := .Values.cassandra -}}
{{- $fullname := include "candlewick.fullname" . -}}
{{- if eq $cassandra.mode "dev" -}}
contactPoints: [{{ include "candlewick.host" (dict "root" . "component" "cassandra") }}]
port: 9042
datacenter: datacenter1
replication: {{ default "1" $cassandra.replication | quote }}
tls: false
secret: ""
{{- else if eq $cassandra.mode "operator" -}}
{{- $copies := list -}}
{{- range $cassandra.operator.datacenters }}{{ $copies = append $copies (printf "%s:%d" .name (min 3 (int .size))) }}{{ end -}}
{{- $first := (first $cassandra.operator.datacenters).name -}}
contactPoints: [{{ printf "%s-cassandra-%s-service.%s.svc.%s" $fullname $first .Release.Namespace .Values.clusterDomain }}]
port: 9042
datacenter: {{ $first }}
replication: {{ default (join "," $copies) $cassandra.replication | quote }}
tls: false
# The K8ssandra operator makes the login of the superuser.
secret: {{ $fullname }}-cassandra-superuser
usernameKey: username
passwordKey: password
{{- else -}}
{{- if not $cassandra.external.contactPoints }}{{ fail "cassandra.mode external needs cassandra.external.contactPoints" }}{{ end -}}
contactPoints: {{ toJson $cassandra.external.contactPoints }}
port: {{ $cassandra.external.port }}
datacenter: {{ $cassandra.external.localDatacenter }}
replication: {{ default (printf "%s:3" $cassandra.external.localDatacenter) $cassandra.replication | quote }}
tls: {{ $cassandra.external.tls.enabled }}
{{- include "candlewick.tlsSecrets" $cassandra.external.tls }}
secret: {{ $cassandra.external.existingSecret | quote }}
usernameKey: {{ $cassandra.external.usernameKey }}
passwordKey: {{ $cassandra.external.passwordKey }}
{{- end -}}
{{- end -}}

{{- define "candlewick.cassandra.data" -}}
{{- $cassandra := include "candlewick.cassandra" . | fromYaml -}}
CASSANDRA_CONTACT_POINTS: {{ join "," $cassandra.contactPoints | quote }}
CASSANDRA_PORT: {{ $cassandra.port | quote }}
CASSANDRA_LOCAL_DATACENTER: {{ $cassandra.datacenter | quote }}
CASSANDRA_KEYSPACE: {{ .Values.cassandra.keyspace | quote }}
CASSANDRA_CONSISTENCY: {{ .Values.cassandra.consistency }}
{{- if $cassandra.tls }}
CASSANDRA_SSL: "true"
{{- end }}
{{- if $cassandra.caSecret }}
CASSANDRA_SSL_CA_FILE: /etc/candlewick/cassandra/ca.crt
{{- end }}
{{- if $cassandra.clientSecret }}
CASSANDRA_SSL_CERT_FILE: /etc/candlewick/cassandra/tls.crt
CASSANDRA_SSL_KEY_FILE: /etc/candlewick/cassandra/tls.key
{{- end }}
{{- end -}}

{{- define "candlewick.cassandra.env" -}}
{{- $cassandra := include "candlewick.cassandra" . | fromYaml -}}
{{- if $cassandra.secret -}}
- name: CASSANDRA_USERNAME
  valueFrom: { secretKeyRef: { name: {{ $cassandra.secret }}, key: {{ $cassandra.usernameKey }} } }
- name: CASSANDRA_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ $cassandra.secret }}, key: {{ $cassandra.passwordKey }} } }
{{- end -}}
{{- end -}}

{{/* What `tls` of an external server names. */}}
{{- define "candlewick.tlsSecrets" -}}
{{- if .enabled }}
{{- if .caSecret.name }}
caSecret: {{ toJson .caSecret }}
{{- end }}
{{- if .clientSecret }}
clientSecret: {{ .clientSecret }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Volumes with certificates. Takes {root, uses: [kafka, cassandra]}. */}}
{{- define "candlewick.tlsVolumes" -}}
{{- range $use := without .uses "token" }}
{{- $server := include (printf "candlewick.%s" $use) $.root | fromYaml }}
{{- if or $server.caSecret $server.clientSecret }}
- name: {{ $use }}-tls
  projected:
    defaultMode: 0440 # read through fsGroup
    sources:
      {{- with $server.caSecret }}
      - secret: { name: {{ .name }}, items: [{ key: {{ .key | quote }}, path: ca.crt }] }
      {{- end }}
      {{- with $server.clientSecret }}
      - secret: { name: {{ . }}, items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }] }
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where they are mounted. Takes {root, uses}. */}}
{{- define "candlewick.tlsMounts" -}}
{{- range $use := without .uses "token" }}
{{- $server := include (printf "candlewick.%s" $use) $.root | fromYaml }}
{{- if or $server.caSecret $server.clientSecret }}
- { name: {{ $use }}-tls, mountPath: /etc/candlewick/{{ $use }}, readOnly: true }
{{- end }}
{{- end }}
{{- end -}}

{{/* Name of the secret with the internal token. */}}
{{- define "candlewick.tokenSecret" -}}
{{- default (printf "%s-internal-token" (include "candlewick.fullname" .)) .Values.internalToken.existingSecret -}}
{{- end -}}

{{/* The token the chart made: what the cluster has already, else a new one, the same for every template of this rendering. */}}
{{- define "candlewick.generatedToken" -}}
{{- $cache := .Values.internalToken -}}
{{- if not (hasKey $cache "generated") -}}
{{- $there := lookup "v1" "Secret" .Release.Namespace (include "candlewick.tokenSecret" .) -}}
{{- if and $there (hasKey (default dict $there.data) .Values.internalToken.key) -}}
{{- $_ := set $cache "generated" (index $there.data .Values.internalToken.key | b64dec) -}}
{{- else -}}
{{- $_ := set $cache "generated" (randAlphaNum 40) -}}
{{- end -}}
{{- end -}}
{{- $cache.generated -}}
{{- end -}}
