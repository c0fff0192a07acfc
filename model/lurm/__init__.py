"""LURM (Yang et al. 2021): bags of interests over the full life, and their multi-anchor encoder."""
