"""Adapters: what public originals, downloaded by the user, look like, and how each becomes a lake."""
