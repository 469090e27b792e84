"""Patterns of policies, where * is any characters and ? is one, as the database has them."""


def like(pattern: str) -> str:
    """The pattern for SQL's `like`, in which % and _ are themselves."""
    plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return plain.replace("*", "%").replace("?", "_")
