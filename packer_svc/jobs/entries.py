"""The names by which workers find the jobs; imports none of them."""

PACK = "packer_svc.jobs.pack:pack_fragments"
ALL = frozenset({PACK})
"""What a worker of the packer may run."""
