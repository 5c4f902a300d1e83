{{/* A quantity of processors in thousandths. */}}
{{- define "slice-and-pack.millicores" -}}
{{- $cpu := toString . -}}
{{- if hasSuffix "m" $cpu -}}{{- trimSuffix "m" $cpu -}}{{- else -}}{{- mulf 1000 (float64 $cpu) | int64 -}}{{- end -}}
{{- end -}}

{{/* A quantity of memory in MiB. */}}
{{- define "slice-and-pack.mebibytes" -}}
{{- if hasSuffix "Gi" . -}}{{- trimSuffix "Gi" . | int64 | mul 1024 -}}{{- else -}}{{- trimSuffix "Mi" . -}}{{- end -}}
{{- end -}}

{{/* Whole processors of a limit, at least one: threads beyond it only wait for each other. */}}
{{- define "slice-and-pack.cores" -}}
{{- max 1 (div (include "slice-and-pack.millicores" . | int64) 1000) -}}
{{- end -}}

{{/* What a container gets: (list "packer" .Values.packer.resources EXTRA LIMITS). */}}
{{- define "slice-and-pack.resources" -}}
{{- $place := index . 0 -}}
{{- $given := index . 1 -}}
{{- $extra := dict -}}
{{- if gt (len .) 2 -}}{{- $extra = index . 2 -}}{{- end -}}
{{- if gt (include "slice-and-pack.millicores" $given.requests.cpu | int64) (include "slice-and-pack.millicores" $given.limits.cpu | int64) -}}
{{- fail (printf "%s.resources.requests.cpu: more than the limit" $place) -}}
{{- end -}}
{{- if gt (include "slice-and-pack.mebibytes" $given.requests.memory | int64) (include "slice-and-pack.mebibytes" $given.limits.memory | int64) -}}
{{- fail (printf "%s.resources.requests.memory: more than the limit" $place) -}}
{{- end -}}
resources:
  requests:
    cpu: {{ $given.requests.cpu | toString | quote }}
    memory: {{ $given.requests.memory }}
    {{- range $name, $count := $extra }}
    {{ $name }}: {{ $count }}
    {{- end }}
  limits:
    cpu: {{ $given.limits.cpu | toString | quote }}
    memory: {{ $given.limits.memory }}
    {{- range $name, $count := $extra }}
    {{ $name }}: {{ $count }}
    {{- end }}
{{- end -}}

{{/*
The settings of a service's workers, which share what the container may use but for what the server
takes: (list "SLICER" "slicer" .Values.slicer MOST-THREADS SERVER-MIB).
*/}}
{{- define "slice-and-pack.workers" -}}
{{- $prefix := index . 0 -}}
{{- $place := index . 1 -}}
{{- $given := index . 2 -}}
{{- $cores := include "slice-and-pack.cores" $given.resources.limits.cpu | int64 -}}
{{- $memory := div (sub (include "slice-and-pack.mebibytes" $given.resources.limits.memory | int64) (index . 4)) $given.workers -}}
{{- if le $memory 512 -}}
{{- fail (printf "%s.resources.limits.memory: a worker would have %d MiB, and needs more than 512: raise it, or have fewer workers" $place $memory) -}}
{{- end -}}
{{ $prefix }}_WORKERS: {{ $given.workers | int64 | quote }}
{{ $prefix }}_WORKER_THREADS: {{ max 1 (div $cores $given.workers) | min (index . 3) | quote }}
{{ $prefix }}_WORKER_MEMORY_BYTES: {{ mul $memory 1048576 | quote }}
{{ $prefix }}_WORKER_CPU_SECONDS: {{ $given.workerCpuSeconds | int64 | quote }}
{{- end -}}
