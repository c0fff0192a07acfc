"""A rewritten demand for people to read."""

from collections.abc import Iterator

from model.rewriting.document import ANY, BETWEEN, PAST, Behaviour, Comparison, Condition, Profile, Rewritten, Window

_VERBS = {
    "bills": ("buy", "bought"),
    "clicks": ("click on", "clicked on"),
    "visits": ("visit or view", "visited or viewed"),
    "searches": ("search for", "searched for"),
    ANY: ("have to do with", "had to do with"),
}
_NOTHING_UNDERSTOOD = "(nothing: write what users do, as in 'customers who will buy tea')"
_WORDS = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most", "=": "exactly"}


def show(rewritten: Rewritten) -> str:
    """The demand, each condition with its sentences, what was not understood, and why."""
    lines = [f"Demand: {rewritten.demand}", "", "Understood as users"]
    for place, condition in enumerate(rewritten.conditions):
        joined = "" if place == 0 else f"{condition.joined} "
        lines.append(f"  {place + 1}. {joined}who {told(condition)}")
        lines += [f"       {line}" for line in _sentences(rewritten, place)]
    if not rewritten.conditions:
        lines.append(f"  {_NOTHING_UNDERSTOOD}")
    lines += ["", f"Not understood: {rewritten.rest or 'nothing'}"]
    lines += [f"Note: {rewritten.reason}."] if rewritten.reason else []
    return "\n".join(lines)


def _sentences(rewritten: Rewritten, place: int) -> Iterator[str]:
    for sentence in rewritten.sentences:
        if sentence.condition == place:
            yield f"{sentence.similarity:.2f}  {'not: ' if sentence.negated else ''}{sentence.text}"


def told(condition: Condition) -> str:
    """One condition as half a sentence."""
    return _profile(condition) if isinstance(condition, Profile) else _behaviour(condition)


def _profile(condition: Profile) -> str:
    said = compared(condition.comparison) if condition.comparison else condition.value
    return f"have {condition.column} {'not ' if condition.negated else ''}{said}"


def _behaviour(condition: Behaviour) -> str:
    past = condition.tense == PAST
    verb = _VERBS[condition.source][past and not condition.negated]
    helper = {(False, True): "will not", (False, False): "will", (True, True): "did not", (True, False): ""}
    parts = [helper[past, condition.negated], verb, f"{condition.topic!r}" if condition.topic else "anything"]
    parts += [f"{compared(condition.count)} times"] if condition.count else []
    parts += [f"for {compared(condition.amount)} {condition.amount.currency}".strip()] if condition.amount else []
    parts += [f"by {condition.channel}"] if condition.channel else []
    parts += [_window(condition.window, past=past)] if condition.window else []
    return " ".join(filter(None, parts))


def compared(comparison: Comparison) -> str:
    """ "more than 3"."""
    if comparison.op == BETWEEN:
        return f"between {comparison.value:g} and {comparison.upper:g}"
    return f"{_WORDS[comparison.op]} {comparison.value:g}"


def _window(window: Window, *, past: bool) -> str:
    if window.within_days:
        return f"in the {'last' if past else 'next'} {window.within_days} days"
    since = f"from {window.since} on" if window.since else ""
    until = f"before {window.until}" if window.until else ""
    return ", ".join(filter(None, (since, until)))
