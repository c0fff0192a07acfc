"""Feast definitions of FOUND, and the contracts that every other folder imports."""
