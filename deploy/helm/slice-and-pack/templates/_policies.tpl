{{/* Egress to the cluster's name service. */}}
{{- define "slice-and-pack.toNames" -}}
{{- with .Values.networkPolicy.dns }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}
{{- end -}}

{{/* The chart's own pods of a component, as peers: (list . "packer"). */}}
{{- define "slice-and-pack.peer" -}}
- podSelector:
    matchLabels:
      {{- include "slice-and-pack.selector" . | nindent 6 }}
{{- end -}}
