"""The names by which workers find the jobs; imports none of them."""

CHECK = "slicer_svc.jobs.check:check_model"
PLAN = "slicer_svc.jobs.plan:plan_model"
FRONT = "slicer_svc.jobs.front:front_of_model"
SLICE = "slicer_svc.jobs.slice:slice_model"
SLICE_HELD_OUT = "slicer_svc.jobs.held_out:slice_held_out"
DEVICE = "onnxgraph.devices:find_device"
ALL = frozenset({CHECK, PLAN, FRONT, SLICE, SLICE_HELD_OUT, DEVICE})
"""What a worker of the slicer may run."""
