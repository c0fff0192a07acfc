"""Asking on the command line: through the server of the work directory, or with a desk of one's own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from feature_repo.contracts.settings import Settings
from serving import running
from serving.filter_text import as_json, read_filter
from serving.first import first_questions
from serving.progress import table
from serving.question import MOST_EXPLAINED

_WIDEST_REASON = 100
_MOST_TOLD = 3


def show_target(
    settings: Settings,
    *,
    demand: str,
    size: int,
    filters: Sequence[str] = (),
    exclude: Sequence[str] = (),
    as_document: bool = False,
) -> str:
    """The audience of a sentence, as a table, or as the API's JSON."""
    asked = {"demand": demand, "size": size, "explain": _explained(size), **_narrowed(filters, exclude)}
    audience = _ask(settings, "target", asked)
    return json.dumps(audience, indent=1) if as_document else render(audience, f"audience for {demand!r}")


def show_preview(
    settings: Settings, *, demand: str, size: int, filters: Sequence[str] = (), exclude: Sequence[str] = ()
) -> str:
    """What an audience would be, as the API's JSON."""
    asked = {"demand": demand, "size": size, **_narrowed(filters, exclude)}
    return json.dumps(_ask(settings, "preview", asked), indent=1)


def show_lookalike(
    settings: Settings,
    positives: Sequence[str],
    *,
    negatives: Sequence[str],
    demand: str,
    size: int,
    filters: Sequence[str] = (),
    exclude: Sequence[str] = (),
    as_document: bool = False,
) -> str:
    """The audience of seeds, as a table, or as the API's JSON."""
    seeds = {"positives": list(positives), "negatives": list(negatives), "demand": demand}
    asked = {**seeds, "size": size, "explain": _explained(size), **_narrowed(filters, exclude)}
    audience = _ask(settings, "lookalike", asked)
    return (
        json.dumps(audience, indent=1) if as_document else render(audience, f"audience like {', '.join(positives[:5])}")
    )


def show_first_audiences(settings: Settings, *, demand: str, ds: date) -> str:
    """One audience for a sentence and one for seeds, from what the lake itself offers."""
    first = first_questions(settings, ds)
    by_sentence = show_target(settings, demand=demand or first.demand, size=10)
    by_seeds = show_lookalike(settings, first.positives, negatives=first.negatives, demand="", size=10)
    return f"\n{by_sentence}\n\n{by_seeds}\n({first.origin})"


def render(audience: Mapping[str, Any], heading: str) -> str:
    """User, probability and the texts that moved the score most; then how the demand was read."""
    rows = [(user["user_id"], f"{user['probability']:.3f}", _reason(user["reasons"])) for user in audience["users"]]
    answered = "model {model_version}, collection {collection}, as of {ds}".format_map(audience)
    shown = [
        f"{heading} ({answered})",
        table(("user", "probability", "reason"), rows),
        *_size(audience.get("expected")),
        *_why(audience["why"]),
    ]
    return "\n".join([*shown, *_told(audience)])


def _size(expected: Mapping[str, float] | None) -> Iterator[str]:
    """How many users are expected to do it, on a line of its own; nothing where nobody knows."""
    if expected is not None:
        yield "{size:,.0f} users are expected to do it (80 %: {low:,.0f} to {high:,.0f})".format_map(expected)


def _why(traits: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the members did more, words and texts on a line each; nothing where nothing is beyond chance."""
    for kind in ("word", "text"):
        if own := [trait for trait in traits if trait["kind"] == kind]:
            told = (f"{t['said']} ({t['members']:.0%}, others {t['others']:.0%})" for t in own[:_MOST_TOLD])
            yield f"{kind}s they have more: " + "; ".join(told)


def _told(audience: Mapping[str, Any]) -> Iterator[str]:
    for each in (*audience["filters"], *audience["default_filters"]):
        any_of = each.get("any", [each])
        yield "filter: " + " or ".join(f"{f['field']} {f['op']} {f['value']}" for f in any_of)
    rewritten = audience["rewritten"]
    yield from (f"history: {rule['rule']}" for rule in rewritten["history"])
    asked = [("not: " if s["negated"] else "") + s["text"] for s in rewritten["sentences"]]
    if asked and asked != [audience["demand"]]:
        yield "read as: " + "; ".join(asked)
    yield from (f"note: {warning}" for warning in rewritten["warnings"])


def _reason(reasons: Sequence[Mapping[str, Any]]) -> str:
    told = "; ".join(reason["text"] for reason in reasons)
    return told if len(told) <= _WIDEST_REASON else told[: _WIDEST_REASON - 3] + "..."


def _explained(size: int) -> int:
    return min(size, MOST_EXPLAINED)


def _narrowed(filters: Sequence[str], exclude: Sequence[str]) -> dict[str, Any]:
    return {"filters": as_json(map(read_filter, filters)), "exclude_users": list(exclude)}


def _ask(settings: Settings, kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The API's answer, from the server or from the same messages and a desk of this process."""
    if url := running.server_of(settings.work):
        return running.post(f"{url}/v1/audiences:{kind}", asked, key=settings.api_key or settings.admin_key)
    # Imported late: without a server this process loads the model itself, which takes seconds.
    from serving.desk import open_desk
    from serving.question import question_of

    given = dict(asked)
    question = question_of(**{n: given.pop(n) for n in ("demand", "filters", "exclude_users")})
    desk = open_desk(replace(settings, minimum_audience=0))  # who may open the index may see all of it
    try:
        if kind == "lookalike":
            return asdict(desk.lookalike(given.pop("positives"), question=question, **given))
        return asdict(desk.target(question, **given) if kind == "target" else desk.preview(question, **given))
    finally:
        desk.close()
