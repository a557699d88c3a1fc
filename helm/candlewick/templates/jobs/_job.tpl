{{/*
A job that can be run again. Its name carries a hash of all it is made of: a job cannot be changed, so another content is
another job, and the same content leaves the one that ran alone. Not a hook: hooks run before Kafka and Cassandra of the
same release exist. The process waits until they answer. Takes {root, component, command, uses, more}.
*/}}
{{- define "candlewick.job" -}}
{{- $spec := include "candlewick.jobSpec" . -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "candlewick.fullname" .root }}-{{ .component }}-{{ $spec | sha256sum | trunc 8 }}
  labels: {{- include "candlewick.labels" . | nindent 4 }}
spec: {{- $spec | nindent 2 }}
{{- end -}}

{{- define "candlewick.jobSpec" -}}
{{- $values := .root.Values.jobs -}}
backoffLimit: {{ $values.backoffLimit }}
{{- if not (kindIs "invalid" $values.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ $values.ttlSecondsAfterFinished }}
{{- end }}
template:
  metadata: {{- include "candlewick.podMetadata" (merge (dict "values" dict) .) | nindent 4 }}
  spec:
    {{- include "candlewick.podDefaults" (dict "root" .root "user" 1000) | nindent 4 }}
    {{- include "candlewick.placement" (merge (dict "values" $values) .) | nindent 4 }}
    restartPolicy: OnFailure
    containers:
      - name: {{ .component }}
        image: {{ include "candlewick.image" (dict "root" .root "component" "jobs") }}
        imagePullPolicy: {{ .root.Values.image.pullPolicy }}
        securityContext: {{- include "candlewick.containerSecurity" . | nindent 10 }}
        command: {{ toJson .command }}
        envFrom: {{- include "candlewick.envFrom" . | nindent 10 }}
        env:
          {{- include "candlewick.env" (dict "root" .root "uses" .uses "more" .more "env" dict) | nindent 10 }}
        resources: {{- toYaml $values.resources | nindent 10 }}
        volumeMounts:
          - { name: tmp, mountPath: /tmp }
          {{- include "candlewick.tlsMounts" . | nindent 10 }}
    volumes:
      - { name: tmp, emptyDir: { sizeLimit: 64Mi } }
      {{- include "candlewick.tlsVolumes" . | nindent 6 }}
{{- end -}}

{{/* Copies of every topic. */}}
{{- define "candlewick.replicationFactor" -}}
{{- $wanted := .Values.kafka.topics.replicationFactor -}}
{{- if kindIs "invalid" $wanted -}}
{{- eq .Values.kafka.mode "dev" | ternary 1 3 -}}
{{- else -}}
{{- $wanted | int -}}
{{- end -}}
{{- end -}}
