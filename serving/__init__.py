"""Targeting by sentence and by seeds: index, API, command line."""
