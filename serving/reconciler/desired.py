"""What one replica is to serve under one name, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from serving.errors import ServingError
from serving.model_config import TensorConfig
from serving.reconciler.comparison import Comparison
from serving.reconciler.parity import LiveParity
from serving.tuning import RunTime


@dataclass(frozen=True)
class Desired:
    """One pack under one name.

    Attributes:
        name: The model's name in Triton: the last part of the deployment's.
        generation: The deployment's generation; reports name it.
        pack: The pack's resource name.
        version: The version number in Triton.
        graph: The digest of the pack's ONNX file, "sha256:" and 64 hexadecimal digits.
        smoke_test: That of an npz with inputs and the answers that they must give.
        labels: Class labels, in the order of the class axis.
        inputs: The graph's inputs, dims without the batch axis.
        previous_version: The version that stays loaded beside it where it can; None for none.
        run_time: What its runs take on one thread; None where nobody measured it.
        none_of_these: Whether it has the output "none_of_these" beside "probabilities".
        canary_of: The model that it is a canary of; None for a deployment.
    """

    name: str
    generation: int
    pack: str
    version: int
    graph: str
    smoke_test: str
    labels: tuple[str, ...]
    inputs: tuple[TensorConfig, ...]
    previous_version: int | None
    run_time: RunTime | None = None
    none_of_these: bool = False
    canary_of: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a desired deployment on this replica.

    Attributes:
        name: The model's name in Triton.
        generation: The generation that was desired.
        version: The version that serves now; None for none.
        error: Why it is not the desired one, or does not answer rightly; None if all is well.
        parity: How the live answers compare with the proof's, as far as they were asked for.
        comparison: Of a canary, how it does beside its deployment, as far as is known.
    """

    name: str
    generation: int
    version: int | None
    error: ServingError | None = None
    parity: tuple[LiveParity, ...] = ()
    comparison: Comparison | None = None

    @property
    def key(self) -> tuple[int, int | None, str | None]:
        """What makes it worth another report: generation, version, reason."""
        reason = None if self.error is None else self.error.reason
        return self.generation, self.version, reason

    @property
    def difference(self) -> float:
        """The largest absolute difference of an answer."""
        return max((case.parity.max_abs for case in self.parity), default=0.0)

    @property
    def ready(self) -> bool:
        """Whether the deployment serves as desired."""
        return self.error is None
