{{/* What the schema cannot say. */}}
{{- define "slice-and-pack.tritonChecks" -}}
{{- $triton := .Values.triton -}}
{{- if and (eq $triton.flavour "embedded") (include "slice-and-pack.gpus" (list . "triton") | int) -}}
{{- fail "triton.gpu.count: the embedded flavour runs on processors alone; take triton.flavour=nvidia, or 0" -}}
{{- end -}}
{{- if gt ($triton.autoscaling.minReplicas | int) ($triton.autoscaling.maxReplicas | int) -}}
{{- fail "triton.autoscaling.minReplicas: more than maxReplicas" -}}
{{- end -}}
{{- /* Shared memory is counted as memory of whoever writes there. */}}
{{- if and (eq $triton.flavour "embedded") (ge (include "slice-and-pack.mebibytes" $triton.sharedMemory | int64) (include "slice-and-pack.mebibytes" $triton.resources.limits.memory | int64)) -}}
{{- fail "triton.sharedMemory: as much as the limit of memory, which it is a part of" -}}
{{- end -}}
{{- end -}}

{{/* The fewest pods there are while nothing is disturbed. */}}
{{- define "slice-and-pack.tritonReplicas" -}}
{{- if .Values.triton.autoscaling.enabled -}}
{{- .Values.triton.autoscaling.minReplicas | int -}}
{{- else -}}
{{- .Values.triton.replicas | int -}}
{{- end -}}
{{- end -}}

{{- define "slice-and-pack.tritonSecret" -}}
{{- .Values.triton.existingSecret | default (include "slice-and-pack.name" (list . "triton")) -}}
{{- end -}}
