"""Where a service is, and how to reach it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from svckit.addresses import Address


class ClientSettings(BaseModel):
    """One service as a client sees it. Frozen; part of the settings of the process that calls."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    address: str
    """Where the service listens, ``host:port``."""
    tls_ca: Path | None = None
    """The authorities that the server's certificate is checked against, PEM. Turns TLS on."""
    tls_certificate: Path | None = None
    """The client's certificate chain for mutual TLS, PEM."""
    tls_key: Path | None = None
    """The private key of the client's certificate, PEM."""
    insecure: bool = False
    """Allows plain text to an address other than loopback."""
    deadline_seconds: float = Field(default=30.0, gt=0)
    """The deadline of a unary call that is made without one."""
    attempts: int = Field(default=5, ge=2, le=5)
    """How often a call is sent while the service is unavailable; gRPC takes at most 5."""
    keepalive_seconds: float = Field(default=30.0, gt=0)
    """The time between keepalive pings while calls are under way."""
    max_message_bytes: int = Field(default=4 * 2**20, gt=0)
    """The largest message that is received or sent."""

    @model_validator(mode="after")
    def _files_fit_together(self) -> "ClientSettings":
        """Refuses half a TLS configuration, and plain text beyond this machine."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are given together or not at all")
        if self.tls_certificate is not None and self.tls_ca is None:
            raise ValueError("tls_certificate and tls_key need tls_ca")
        elsewhere = not Address.parse(self.address).is_loopback
        if elsewhere and self.tls_ca is None and not self.insecure:
            raise ValueError(
                f"{self.address} is on another machine: set tls_ca, or insecure if the network "
                "between is trusted"
            )
        return self
