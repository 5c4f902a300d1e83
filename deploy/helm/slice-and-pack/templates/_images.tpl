{{/* An image's full name: (list . "packer"). */}}
{{- define "slice-and-pack.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- with $root.Values.imageRegistry | default $image.registry -}}{{- . -}}/{{- end -}}
{{- $variant := "" -}}
{{- if and (has (index . 1) (list "slicer" "packer")) (include "slice-and-pack.gpus" . | int) -}}{{- $variant = "-cuda" -}}{{- end -}}
{{- $image.repository -}}:{{- $image.tag | default (print $root.Chart.AppVersion $variant) -}}
{{- with $image.digest -}}@{{- . -}}{{- end -}}
{{- end -}}

{{/* Where images come from, in every pod. */}}
{{- define "slice-and-pack.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
