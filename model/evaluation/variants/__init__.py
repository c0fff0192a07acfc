"""FOUND with one thing changed: what an ablation, past text and transfer train instead."""
