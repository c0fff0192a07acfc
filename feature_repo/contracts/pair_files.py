"""What identifies a dataset of training pairs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FINGERPRINT, BEFORE_ERASURES = "fingerprint", "fingerprint_before_erasures"
"""In a manifest: what the dataset is, and what it was before users were erased from it."""


def fingerprint(root: Path) -> str:
    """One hash of all data files: equal exactly when the dataset is."""
    digest = hashlib.sha256()
    for file in sorted([*root.glob("pairs/*.parquet"), *root.glob("texts/*.parquet")]):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def known_as(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The fingerprints by which models that were trained on these pairs know them."""
    return tuple(manifest[name] for name in (FINGERPRINT, BEFORE_ERASURES) if name in manifest)
