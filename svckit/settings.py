"""The settings that every server has; each process adds its own in a subclass.

Environment variables are read here and nowhere else, once, at the start. A subclass names its
prefix: ``class SlicerSettings(ServerSettings, env_prefix="SLICER_")`` reads ``SLICER_ADDRESS``.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from svckit.addresses import Address

LogLevel = Literal["debug", "info", "warning", "error"]
"""The least severe lines that a log keeps."""

Device = Literal["auto", "cpu", "cuda"]
"""Where workers compute."""


class ServerSettings(BaseSettings):
    """What a gRPC server needs to know at its start. Frozen; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        env_prefix="SLICEANDPACK_",
        validate_default=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
    )

    address: str = "127.0.0.1:0"
    """Where the server listens, ``host:port``; port 0 takes a free one (see `ready_file`)."""
    insecure: bool = False
    """Allows addresses other than loopback without TLS; that of the metrics never has TLS."""
    tls_certificate: Path | None = None
    """The server's certificate chain, PEM. With `tls_key` it turns TLS on."""
    tls_key: Path | None = None
    """The private key of the certificate, PEM."""
    tls_client_ca: Path | None = None
    """The authorities whose client certificates are accepted, PEM. Turns mutual TLS on."""
    metrics_address: str = "127.0.0.1:0"
    """Where Prometheus reads metrics over HTTP, ``host:port``; port 0 takes a free one."""
    health_address: str | None = None
    """Where ``grpc.health.v1`` alone is served too, in plain text, for probes that know no TLS."""
    ready_file: Path | None = None
    """Where the bound addresses are written as JSON once the server is SERVING."""
    state_dir: Path = Path("var")
    """The folder that holds the database, the artifacts and the page-token key."""
    log_level: LogLevel = "info"
    """The least severe log lines that are written."""
    drain_seconds: float = Field(default=20.0, ge=0)
    """How long calls under way may take after the server was asked to stop."""
    close_seconds: float = Field(default=20.0, gt=0)
    """How long the resources may then take to close."""
    max_message_bytes: int = Field(default=4 * 2**20, gt=0)
    """The largest message that is received or sent."""
    max_concurrent_rpcs: int = Field(default=256, gt=0)
    """How many calls are served at once; further ones get RESOURCE_EXHAUSTED."""
    default_deadline_seconds: float = Field(default=30.0, gt=0)
    """The deadline of a unary call that came without one."""
    max_deadline_seconds: float = Field(default=300.0, gt=0)
    """The longest deadline that a unary call may have; a later one is cut to it."""
    keepalive_seconds: float = Field(default=30.0, gt=0)
    """The time between keepalive pings on a connection; a client may ping twice as often."""

    @field_validator("address", "metrics_address", "health_address")
    @classmethod
    def _is_an_address(cls, text: str | None) -> str | None:
        if text is not None:
            Address.parse(text)
        return text

    @model_validator(mode="after")
    def _tls_files_come_together(self) -> "ServerSettings":
        """Refuses half a TLS configuration, which would silently serve plain text."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are given together or not at all")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        return self

    @model_validator(mode="after")
    def _plain_text_stays_on_this_machine(self) -> "ServerSettings":
        """Refuses to serve other machines without TLS, unless that was asked for."""
        exposed = not Address.parse(self.address).is_loopback
        if exposed and self.tls_certificate is None and not self.insecure:
            raise ValueError(
                f"{self.address} can be reached from other machines without TLS: set "
                "tls_certificate and tls_key, or insecure if the network is trusted"
            )
        if not Address.parse(self.metrics_address).is_loopback and not self.insecure:
            raise ValueError(
                f"metrics_address {self.metrics_address} can be reached from other machines, "
                "without TLS: set insecure if the network is trusted"
            )
        return self


class ServiceSettings(ServerSettings):
    """What a service with workers needs to know beside its server."""

    workers: int = Field(default=1, ge=1, le=64)
    """How many jobs run at once, each in a process of its own."""
    device: Device = "auto"
    """Where workers compute what a GPU may: with cpu or cuda the process does not start where that
    is computed elsewhere; auto takes CUDA where there is one."""
    worker_threads: int = Field(default=1, ge=1)
    """How many threads the numeric libraries of a worker use."""
    worker_memory_bytes: int = Field(default=6 * 2**30, gt=2**29)
    """The memory that a job may use."""
    worker_cpu_seconds: int = Field(default=1800, gt=0)
    """The processor time that a job may use, over all of its threads."""

    @property
    def library_threads(self) -> int:
        """How many threads the numeric libraries of a worker use."""
        return self.worker_threads
