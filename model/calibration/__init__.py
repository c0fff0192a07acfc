"""Probabilities that hold, without a label: a demand is read against what past users did after past cut-offs."""
