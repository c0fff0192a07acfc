"""How marketers put it: phrases that turn known conditions into a demand.

The lists of `WRITTEN_WITH` were at hand while the grammar was written and may be used to improve it. `HELD_OUT` was
written when the grammar was done; it measures the grammar and must not be used to change it. Whoever does move its
lists to WRITTEN_WITH, and writes new ones.
"""

from model.rewriting.phrasings.form import Phrasings, Verbs
from model.rewriting.phrasings.held_out import HELD_OUT
from model.rewriting.phrasings.written_with import WRITTEN_WITH

__all__ = ["HELD_OUT", "WRITTEN_WITH", "Phrasings", "Verbs"]
