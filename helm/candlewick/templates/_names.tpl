{{- define "candlewick.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "candlewick.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "candlewick.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "candlewick.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component; never changes over the life of a release. Takes {root, component}. */}}
{{- define "candlewick.selectorLabels" -}}
app.kubernetes.io/name: {{ include "candlewick.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Takes {root, component}. */}}
{{- define "candlewick.labels" -}}
{{ include "candlewick.selectorLabels" . }}
app.kubernetes.io/part-of: candlewick
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* One of our images. Takes {root, component}. */}}
{{- define "candlewick.image" -}}
{{- $image := .root.Values.image -}}
{{- printf "%s%s/%s:%s" (empty $image.registry | ternary "" (printf "%s/" $image.registry)) $image.repository .component (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}

{{/* Host name of a service of this release. Takes {root, component}. */}}
{{- define "candlewick.host" -}}
{{- printf "%s-%s.%s.svc.%s" (include "candlewick.fullname" .root) .component .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end -}}
