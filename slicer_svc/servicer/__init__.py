"""The gRPC service `sliceandpack.slicer.v1.Models`, one file a resource."""

from slicer_svc.servicer.fragments import FragmentMethods
from slicer_svc.servicer.models import ModelMethods
from slicer_svc.servicer.plans import PlanMethods
from slicer_svc.servicer.references import ReferenceMethods


class ModelsServicer(ModelMethods, PlanMethods, FragmentMethods, ReferenceMethods):
    """All methods of the service."""
