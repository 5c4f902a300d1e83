{{/* Ports, the same in every template. */}}
{{- define "slice-and-pack.ports" -}}
slicer: 7101
packer: 7102
health: 7180
metrics: 7190
tritonHttp: 8000
tritonGrpc: 8001
tritonMetrics: 8002
{{- end -}}

{{- define "slice-and-pack.state" -}}/var/lib/slice-and-pack{{- end -}}
{{- define "slice-and-pack.certificates" -}}/etc/slice-and-pack/tls{{- end -}}
{{/* How long a server's resources may take to close after the last call. */}}
{{- define "slice-and-pack.closeSeconds" -}}20{{- end -}}

{{/* The settings that slicer and packer share: (list . "SLICER" "slicer"). */}}
{{- define "slice-and-pack.serverSettings" -}}
{{- $root := index . 0 -}}
{{- $prefix := index . 1 -}}
{{- $component := index . 2 -}}
{{- $ports := include "slice-and-pack.ports" $root | fromYaml -}}
{{- $given := index $root.Values $component -}}
{{ $prefix }}_ADDRESS: {{ printf "0.0.0.0:%v" (index $ports $component) }}
{{ $prefix }}_HEALTH_ADDRESS: {{ printf "0.0.0.0:%v" $ports.health }}
{{ $prefix }}_METRICS_ADDRESS: {{ printf "0.0.0.0:%v" $ports.metrics }}
{{ $prefix }}_STATE_DIR: {{ include "slice-and-pack.state" $root }}
{{ $prefix }}_LOG_LEVEL: {{ $given.logLevel }}
{{ $prefix }}_DRAIN_SECONDS: {{ $given.drainSeconds | int64 | quote }}
{{ $prefix }}_CLOSE_SECONDS: {{ include "slice-and-pack.closeSeconds" $root | quote }}
# Metrics know no TLS, and without TLS nothing does: the network policies see to who may call.
{{ $prefix }}_INSECURE: "true"
{{- if $root.Values.tls.enabled }}
{{ $prefix }}_TLS_CERTIFICATE: {{ include "slice-and-pack.certificates" $root }}/tls.crt
{{ $prefix }}_TLS_KEY: {{ include "slice-and-pack.certificates" $root }}/tls.key
{{- if $root.Values.tls.mutual }}
{{ $prefix }}_TLS_CLIENT_CA: {{ include "slice-and-pack.certificates" $root }}/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* How a process reaches another one: (list . "PACKER_SLICER__" "slicer"). */}}
{{- define "slice-and-pack.clientSettings" -}}
{{- $root := index . 0 -}}
{{- $prefix := index . 1 -}}
{{- $ports := include "slice-and-pack.ports" $root | fromYaml -}}
{{ $prefix }}ADDRESS: {{ printf "%s:%v" (include "slice-and-pack.name" (list $root (index . 2))) (index $ports (index . 2)) }}
{{- if $root.Values.tls.enabled }}
{{ $prefix }}TLS_CA: {{ include "slice-and-pack.certificates" $root }}/ca.crt
{{- if $root.Values.tls.mutual }}
{{ $prefix }}TLS_CERTIFICATE: {{ include "slice-and-pack.certificates" $root }}/tls.crt
{{ $prefix }}TLS_KEY: {{ include "slice-and-pack.certificates" $root }}/tls.key
{{- end }}
{{- else }}
{{ $prefix }}INSECURE: "true"
{{- end }}
{{- end -}}

{{/* The volume with a component's certificates: (list . "packer"). */}}
{{- define "slice-and-pack.tlsVolume" -}}
{{- if (index . 0).Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ index (index . 0).Values.tls.secrets (index . 1) }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "slice-and-pack.tlsMount" -}}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: {{ include "slice-and-pack.certificates" . }}
  readOnly: true
{{- end }}
{{- end -}}
