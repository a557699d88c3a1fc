{{/* The volume claim of a store of mode dev. Takes {persistence, labels}. */}}
{{- define "candlewick.devClaim" -}}
{{- if .persistence.enabled -}}
persistentVolumeClaimRetentionPolicy: { whenDeleted: {{ .persistence.whenDeleted }}, whenScaled: Retain }
volumeClaimTemplates:
  - metadata:
      name: data
      labels: {{- .labels | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .persistence.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources: { requests: { storage: {{ .persistence.size }} } }
{{- end -}}
{{- end -}}
