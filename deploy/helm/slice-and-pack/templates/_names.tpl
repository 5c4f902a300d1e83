{{/*
The prefix of every name: at most 40 characters, so that the longest one made of it, a pod of the
StatefulSet with its revision, stays within the 63 of a label; a label itself (RFC 1035), since
services are named by it. What has to be cut gets a hash, so that two long releases stay apart.
*/}}
{{- define "slice-and-pack.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = .Release.Name | replace "." "-" -}}
{{- if not (contains .Chart.Name $name) -}}{{- $name = printf "%s-%s" $name .Chart.Name -}}{{- end -}}
{{- if not (regexMatch "^[a-z]" $name) -}}{{- $name = printf "r-%s" $name -}}{{- end -}}
{{- end -}}
{{- if gt (len $name) 40 -}}
{{- $name = printf "%s-%s" (trunc 31 $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* The name of a component's objects: (list . "packer"). */}}
{{- define "slice-and-pack.name" -}}
{{- printf "%s-%s" (include "slice-and-pack.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* What selects a component's pods: (list . "packer"). */}}
{{- define "slice-and-pack.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of a component's objects: (list . "packer"). */}}
{{- define "slice-and-pack.labels" -}}
{{ include "slice-and-pack.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end -}}
