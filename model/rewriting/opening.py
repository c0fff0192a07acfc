"""Opens what rewriting needs of a work directory: the pairs' distinct texts, their cached vectors, the encoder."""

from datetime import date

from feature_repo.contracts.settings import Settings
from model.data import open_pairs
from model.recipes import recipe
from model.rewriting.lake import know_lake
from model.rewriting.offline import OfflineRewriter
from model.text_cache import CachedEncoder
from model.text_encoder import TextEncoder


def open_rewriter(settings: Settings, *, day: date | None) -> OfflineRewriter:
    """The rewriter of a work directory as of `day`, by default the pairs' last cut-off.

    Texts that the cache lacks are encoded once. Raises FoundError where there are no pairs.
    """
    pairs = open_pairs(settings.work.pairs)
    chosen = recipe(settings.recipe, encoder=settings.encoder)
    encoder = TextEncoder(chosen.encoder, max_tokens=chosen.max_tokens)
    lake = know_lake(pairs)
    vectors_VE = CachedEncoder(settings.work.text_cache, encoder).encode(lake.texts)
    return OfflineRewriter(
        lake, vectors_VE, encoder.encode, day or max(map(date.fromisoformat, pairs.manifest["cutoffs"]))
    )
