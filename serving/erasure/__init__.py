"""One user out of everything that is derived from the lake; see docs/erasure.md."""
