"""The pods of a rendered chart as containers of one engine, without Kubernetes.

Everything that a manifest says of a pod is done, or the test fails: `fields` sees to it that no
field is passed over. What only a cluster has is not there: schedulers, network policies, services
that leave out pods which are not ready.
"""
