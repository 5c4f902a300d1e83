"""The names by which workers find the jobs; imports none of them."""

CHECK = "slicer_svc.jobs.check:check_model"
PLAN = "slicer_svc.jobs.plan:plan_model"
FRONT = "slicer_svc.jobs.front:front_of_model"
SLICE = "slicer_svc.jobs.slice:slice_model"
SLICE_HELD_OUT = "slicer_svc.jobs.held_out:slice_held_out"
SPECIFY_MODEL = "slicer_svc.jobs.specify_model:specify_model"
SPECIFY_TASK = "slicer_svc.jobs.specify_task:specify_task"
DEVICE = "onnxgraph.devices:find_device"
ALL = frozenset({CHECK, PLAN, FRONT, SLICE, SLICE_HELD_OUT, SPECIFY_MODEL, DEVICE})
"""What a worker of the slicer may run."""

SEARCH = frozenset({SPECIFY_TASK})
"""What a worker for searches may run: it is a process of its own, so that no search waits for a
model to be sliced."""
