"""Asking on the command line: through the server of the work directory, or with a desk of one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from feature_repo.contracts.settings import Settings
from serving import running
from serving.first import first_questions
from serving.progress import table

_WIDEST_REASON = 100


def show_target(settings: Settings, *, demand: str, size: int) -> str:
    """The audience of a sentence, as a table."""
    return render(_ask(settings, "target", {"demand": demand, "size": size}), f"audience for {demand!r}")


def show_lookalike(
    settings: Settings, positives: Sequence[str], *, negatives: Sequence[str], demand: str, size: int
) -> str:
    """The audience of seeds, as a table."""
    asked = {"positives": list(positives), "negatives": list(negatives), "demand": demand, "size": size}
    return render(_ask(settings, "lookalike", asked), f"audience like {', '.join(positives[:5])}")


def show_first_audiences(settings: Settings, *, demand: str, ds: date) -> str:
    """One audience for a sentence and one for seeds, from what the lake itself offers."""
    first = first_questions(settings, ds)
    by_sentence = show_target(settings, demand=demand or first.demand, size=10)
    by_seeds = show_lookalike(settings, first.positives, negatives=first.negatives, demand="", size=10)
    return f"\n{by_sentence}\n\n{by_seeds}\n({first.origin})"


def render(audience: Mapping[str, Any], heading: str) -> str:
    """User, probability and the nearest text of the user's history."""
    rows = [(user["user_id"], f"{user['probability']:.3f}", _reason(user["reasons"])) for user in audience["users"]]
    answered = "model {model_version}, collection {collection}, as of {ds}".format_map(audience)
    size = _size(audience.get("expected"))
    return f"{heading} ({answered})\n{size}{table(('user', 'probability', 'reason'), rows)}"


def _size(expected: Mapping[str, float] | None) -> str:
    """How many users are expected to do it, on a line of its own; nothing where nobody knows."""
    if expected is None:
        return ""
    return "{size:,.0f} users are expected to do it (80 %: {low:,.0f} to {high:,.0f})\n".format_map(expected)


def _reason(reasons: Sequence[Mapping[str, Any]]) -> str:
    told = "; ".join(reason["text"] for reason in reasons)
    return told if len(told) <= _WIDEST_REASON else told[: _WIDEST_REASON - 3] + "..."


def _ask(settings: Settings, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    if url := running.server_of(settings.work):
        return running.post(f"{url}/v1/audiences:{kind}", asked)
    # Imported late: without a server this process loads the model itself, which takes seconds.
    from serving.desk import open_desk

    desk = open_desk(settings)
    try:
        return asdict(getattr(desk, kind)(**asked))
    finally:
        desk.close()
