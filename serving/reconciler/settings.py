"""The settings of a reconciler."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from serving.embedded.command import Ports
from serving.model_config import InstanceKind
from serving.reconciler.site import ServingProfile
from svckit.addresses import Address
from svckit.clients.settings import ClientSettings
from svckit.cores import usable_cores
from svckit.settings import ServerSettings


class ReconcilerSettings(
    ServerSettings,
    env_prefix="RECONCILER_",
    env_nested_delimiter="__",
    cli_prog_name="reconciler",
):
    """What a reconciler needs to know at its start, read from ``RECONCILER_…`` or from options."""

    state_dir: Path = Path("var/reconciler")
    """The folder that holds Triton's model repository, and the embedded Triton's backends."""
    packer: ClientSettings = ClientSettings(address="127.0.0.1:7102")
    """Where the packer is, and how to reach it."""
    replica: str = Field(default="triton-0", min_length=1, max_length=128)
    """This replica's name, unique among those of one packer."""

    embedded: bool = False
    """Starts a Triton on loopback and supervises it, in place of `triton_address`."""
    triton_environment: Path = Path(".triton")
    """The virtual environment of the embedded Triton."""
    triton_http_port: int = Field(default=0, ge=0, le=65535)
    """The embedded Triton's HTTP port; 0 takes a free one, written to the ready file."""
    triton_grpc_port: int = Field(default=0, ge=0, le=65535)
    """The embedded Triton's gRPC port; 0 takes a free one, written to the ready file."""
    triton_metrics_port: int = Field(default=0, ge=0, le=65535)
    """The embedded Triton's metrics port; 0 takes a free one, written to the ready file."""

    triton_address: str | None = None
    """The gRPC address, ``host:port``, of a Triton that reads the repository of `state_dir`."""
    triton_secret: SecretStr | None = None
    """The secret that such a Triton restricts its model-repository API with."""

    max_batch_size: int = Field(default=64, ge=1)
    """The largest batch of a request and of an execution."""
    instances: int | None = Field(default=None, ge=1)
    """Copies of each model; left out, by the model's run time."""
    instance_kind: InstanceKind = InstanceKind.CPU
    """Where they run; GPU needs a Triton with GPUs."""
    intra_op_threads: int | None = Field(default=None, ge=0)
    """ONNX Runtime's threads inside one operator, per instance, 0 for all cores; left out, by the
    model's run time."""
    cores: int = Field(default_factory=usable_cores, ge=1)
    """The cores that a model's instances are counted by; left out, those that this process may use,
    by its affinity and its container's limit."""

    probe_seconds: float = Field(default=2.0, gt=0)
    """The time between two real requests to each model that serves."""
    comparison_seconds: float = Field(default=5.0, gt=0)
    """The time between two looks at how each canary does beside its deployment."""
    grace_seconds: float = Field(default=5.0, ge=0)
    """How long a failure that may pass is kept to itself before it is reported."""

    @model_validator(mode="after")
    def _one_triton(self) -> ReconcilerSettings:
        """Refuses none, two, and one that cannot be had."""
        if self.embedded == (self.triton_address is not None):
            raise ValueError("set either embedded or triton_address")
        if self.embedded and self.instance_kind is InstanceKind.GPU:
            raise ValueError("the embedded Triton runs on the CPU: instance_kind must be KIND_CPU")
        return self

    @model_validator(mode="after")
    def _secret_stays_on_this_machine(self) -> ReconcilerSettings:
        """Refuses to send secret and packs' answers to another machine in plain text."""
        if self.triton_address is None or self.insecure:
            return self
        if not Address.parse(self.triton_address).is_loopback:
            raise ValueError(
                f"{self.triton_address} is on another machine, and Triton is called in plain text: "
                "set insecure if the network between is trusted"
            )
        return self

    @property
    def ports(self) -> Ports:
        """Where the embedded Triton listens."""
        return Ports(
            http=self.triton_http_port, grpc=self.triton_grpc_port, metrics=self.triton_metrics_port
        )

    @property
    def profile(self) -> ServingProfile:
        """How every model is run."""
        return ServingProfile(
            max_batch_size=self.max_batch_size,
            cores=self.cores,
            kind=self.instance_kind,
            instances=self.instances,
            intra_op=self.intra_op_threads,
        )
