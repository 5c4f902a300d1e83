"""The names by which workers find the jobs; imports none of them."""

PACK = "packer_svc.jobs.pack:pack_fragments"
FOLDS = "packer_svc.jobs.folds:choose_folds"
REASSEMBLE = "packer_svc.jobs.reassembly:reassemble_models"
DEVICE = "onnxgraph.devices:find_device"
ALL = frozenset({PACK, FOLDS, REASSEMBLE, DEVICE})
"""What a worker of the packer may run."""
