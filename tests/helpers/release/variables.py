"""The environment of a container: ConfigMaps, secrets, references."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.helpers.chart.parts import of_kind
from tests.helpers.chart.rendering import Manifest
from tests.helpers.release.fields import Fields, UntranslatedError

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][\w.-]*)\))")


@dataclass(frozen=True)
class Sources:
    """Where variables come from.

    Attributes:
        config: The entries of each ConfigMap.
        secrets: The entries of each Secret.
    """

    config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def among(cls, found: Iterable[Manifest]) -> Self:
        """Returns those of a release."""
        config, secrets = {}, {}
        for manifest in of_kind(found, "ConfigMap", "Secret"):
            with Fields(f"{manifest['kind']}/{manifest['metadata']['name']}", manifest) as fields:
                fields.without_effect("apiVersion", "metadata")
                entries = fields.take("data")
                if fields.take("kind") == "ConfigMap":
                    config[manifest["metadata"]["name"]] = entries
                else:
                    fields.exactly(type="Opaque")
                    secrets[manifest["metadata"]["name"]] = {
                        key: base64.b64decode(value).decode() for key, value in entries.items()
                    }
        return cls(config, secrets)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replaces ``$(NAME)``, as a kubelet does: ``$$`` is a dollar, and unknown names stay."""

    def known(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else variables.get(match[2], match[0])

    return _REFERENCE.sub(known, text)


def variables_of(container: Fields, sources: Sources, pod: str) -> dict[str, str]:
    """Returns a container's environment, but for what its image has.

    Args:
        container: Its fields.
        sources: What it may refer to.
        pod: Its pod's name.
    """
    variables: dict[str, str] = {}
    for source in container.parts("envFrom"):
        with source.part("configMapRef") as reference:
            variables |= sources.config[reference.take("name")]
    for each in container.parts("env"):
        name = each.take("name")
        with each.part("valueFrom") as origin:
            value = _referred(origin, sources, pod)
        if value is None:
            value = expanded(each.take("value"), variables)
        variables[name] = value
    return variables


def _referred(origin: Fields, sources: Sources, pod: str) -> str | None:
    """Returns the value that a variable is told to take from elsewhere, if it is."""
    with origin.part("secretKeyRef") as reference:
        if name := reference.take("name", None):
            return sources.secrets[name][reference.take("key")]
    with origin.part("fieldRef") as reference:
        if path := reference.take("fieldPath", None):
            if path != "metadata.name":
                raise UntranslatedError(f"{reference.at}: {path} is not known")
            return pod
    return None
