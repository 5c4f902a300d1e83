"""What stands above a report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Title:
    """What stands above a report.

    Attributes:
        name: The pack's name, "packs/{pack}".
        display_name: Its name for people; empty if it has none.
        made: When its making began, ISO 8601 in UTC.
    """

    name: str
    display_name: str = ""
    made: str = ""

    @property
    def shown(self) -> str:
        """What people call the pack."""
        return self.display_name or self.name.rpartition("/")[2]
