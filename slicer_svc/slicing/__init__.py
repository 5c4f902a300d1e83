"""Slicing: which units of a model each class needs, and how the rest is made up for.

The way through: `check_submission` once a model, `make_plan`, `slice_classes`.
"""

from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.fragments import METHOD_VERSION, SlicedClass, slice_classes
from slicer_svc.slicing.plan import Curve, GroupPlan, KeptWhole, Plan
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.progress import Progress, Report
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.submission import Submission, check_submission

__all__ = [
    "METHOD_VERSION",
    "Augmentation",
    "Curve",
    "GroupPlan",
    "KeptWhole",
    "Method",
    "Plan",
    "Progress",
    "Recipe",
    "Report",
    "Samples",
    "SlicedClass",
    "SlicingError",
    "SlicingReason",
    "Submission",
    "check_submission",
    "make_plan",
    "slice_classes",
]
