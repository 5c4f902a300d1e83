"""What every command needs to know: where the services are and how to print."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from svckit.addresses import Address
from svckit.clients.settings import ClientSettings

ENVIRONMENT = "MARKETCTL_"
"""What the names of environment variables begin with."""

_CALL_SECONDS = 30.0


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True)
class Settings:
    """The global options: of ``marketctl`` itself, from the command line or the environment."""

    slicer: Annotated[
        str, typer.Option(envvar="MARKETCTL_SLICER", metavar="HOST:PORT", help="The slicer.")
    ] = "127.0.0.1:7101"
    packer: Annotated[
        str, typer.Option(envvar="MARKETCTL_PACKER", metavar="HOST:PORT", help="The packer.")
    ] = "127.0.0.1:7102"
    triton: Annotated[
        str,
        typer.Option(envvar="MARKETCTL_TRITON", metavar="HOST:PORT", help="Triton's gRPC port."),
    ] = "127.0.0.1:8001"
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            envvar="MARKETCTL_TLS_CA",
            exists=True,
            dir_okay=False,
            help="PEM file of the authorities of slicer and packer; turns TLS on.",
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="MARKETCTL_TLS_CERTIFICATE",
            exists=True,
            dir_okay=False,
            help="PEM file of this client's certificate, for mutual TLS.",
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(
            envvar="MARKETCTL_TLS_KEY",
            exists=True,
            dir_okay=False,
            help="PEM file of the certificate's private key.",
        ),
    ] = None
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            envvar="MARKETCTL_INSECURE",
            help="Allow plain text to another machine.",
        ),
    ] = False
    output: Annotated[
        Format,
        typer.Option("--output", "-o", envvar="MARKETCTL_OUTPUT", help="How to print results."),
    ] = Format.TABLE
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", envvar="MARKETCTL_QUIET", help="No progress and no notes."),
    ] = False
    timeout: Annotated[
        float,
        typer.Option(
            envvar="MARKETCTL_TIMEOUT",
            metavar="SECONDS",
            min=0.1,
            help="How long to wait for an operation.",
        ),
    ] = 3600.0

    def client(self, address: str) -> ClientSettings:
        """Returns how to reach the service at an address.

        Args:
            address: ``host:port``.

        Raises:
            ValueError: The address or the TLS files make no sense.
        """
        return ClientSettings(
            address=address,
            tls_ca=self.tls_ca,
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            insecure=self.insecure,
            deadline_seconds=min(_CALL_SECONDS, self.timeout),
        )

    def check(self) -> None:
        """Checks what the options say together.

        Raises:
            typer.BadParameter: An address is none, TLS files are missing, or plain text would leave
                this machine.
        """
        for option in ("slicer", "packer", "triton"):
            text: str = getattr(self, option)
            try:
                address = Address.parse(text)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint=f"--{option}") from None
            if address.port == 0:
                raise typer.BadParameter(
                    f"{text!r} has no port that anybody listens on", param_hint=f"--{option}"
                )
            if not address.is_loopback and not self.insecure:
                self._refuse_plain_text(option, text)
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise typer.BadParameter("give --tls-certificate and --tls-key together")
        if self.tls_certificate is not None and self.tls_ca is None:
            raise typer.BadParameter("give --tls-ca with --tls-certificate and --tls-key")

    def _refuse_plain_text(self, option: str, address: str) -> None:
        """Refuses to send plain text to another machine."""
        trusted = "--insecure if the network between is trusted"
        if option == "triton":
            why = f"and Triton is called in plain text: give {trusted}"
            raise typer.BadParameter(
                f"{address} is on another machine, {why}", param_hint="--triton"
            )
        if self.tls_ca is None:
            raise typer.BadParameter(
                f"{address} is on another machine: give --tls-ca, or {trusted}",
                param_hint=f"--{option}",
            )
