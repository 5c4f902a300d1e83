{{/* How many GPUs a component's pod has, 0 without the one switch: (list . "slicer"). */}}
{{- define "slice-and-pack.gpus" -}}
{{- $gpu := (index (index . 0).Values (index . 1)).gpu -}}
{{- if and $gpu (index . 0).Values.gpu.enabled -}}{{- $gpu.count | int -}}{{- else -}}0{{- end -}}
{{- end -}}

{{/* The same as an extended resource, {} without any: (list . "slicer"). */}}
{{- define "slice-and-pack.devices" -}}
{{- $count := include "slice-and-pack.gpus" . | int -}}
{{- if $count -}}
{{ (index (index . 0).Values (index . 1)).gpu.resourceName }}: {{ $count }}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* Where a component's pod may run: (list . "slicer"). */}}
{{- define "slice-and-pack.placement" -}}
{{- $given := index (index . 0).Values (index . 1) -}}
{{- $gpu := dict "nodeSelector" dict "tolerations" list "runtimeClassName" "" -}}
{{- if include "slice-and-pack.gpus" . | int -}}{{- $gpu = (index . 0).Values.gpu -}}{{- end -}}
{{- with merge (deepCopy $given.nodeSelector) $gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $given.tolerations $gpu.tolerations | uniq }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end -}}
