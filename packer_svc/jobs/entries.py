"""The names by which workers find the jobs; imports none of them."""

PACK = "packer_svc.jobs.pack:pack_fragments"
CLONE = "packer_svc.jobs.clone:clone_classes"
FOLDS = "packer_svc.jobs.folds:choose_folds"
REASSEMBLE = "packer_svc.jobs.reassembly:reassemble_models"
DEVICE = "onnxgraph.providers:find_provider"
ALL = frozenset({PACK, CLONE, FOLDS, REASSEMBLE, DEVICE})
"""What a worker of the packer may run."""
