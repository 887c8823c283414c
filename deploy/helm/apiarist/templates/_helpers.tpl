{{- define "apiarist.labels" -}}
app.kubernetes.io/name: apiarist
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "apiarist.selector" -}}
app.kubernetes.io/name: apiarist
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
