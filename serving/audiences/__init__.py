"""Audiences as stored promises: who was chosen, what was predicted, and what became of it."""
