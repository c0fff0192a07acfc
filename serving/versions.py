"""What every answer says of what answered."""

from typing import Any

VERSIONS = ("model_version", "collection", "ds", "template_version")


def versions_of(answering: object) -> dict[str, Any]:
    """Of anything that has these attributes."""
    return {name: getattr(answering, name) for name in VERSIONS}
