"""Names for new values."""


def fresh_name(name: str, taken: set[str | None]) -> str:
    """A name that nothing has yet: the name itself, or the name with the first free number.

    Args:
        name: The wish.
        taken: The names in use; the result is added.
    """
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
