"""What a language model is told, as data: who it is, what the lake holds, how it answers."""

import json
from datetime import date
from typing import Any

from model.rewriting.document import Rewritten
from model.rewriting.words import LakeWords

Chat = list[dict[str, str]]
"""Messages with the keys role (system, user, assistant) and content."""

MOST_VALUES_SHOWN = 20

SYSTEM = """You rewrite a marketer's demand into the terms of an event lake. Answer with one JSON object only:
{{"conditions": [...], "sentences": [...], "rest": "what you did not understand"}}
A condition is {{"kind": "behaviour", "source": ..., "topic": ..., "tense": "past" or "future", "negated": ...,
"window": {{"within_days": n}} or {{"since": "YYYY-MM-DD", "until": "YYYY-MM-DD"}}, "count": {{"op": ">", "value": n}},
"amount": {{"op": ">", "value": n, "currency": ...}}, "channel": ..., "joined": "and" or "or"}}, or it is
{{"kind": "profile", "column": ..., "value": ..., "comparison": {{"op": ">", "value": n}}, "negated": ...,
"joined": ...}} with either a value or a comparison. Leave out what was not said.
A sentence is {{"text": a text of the lake, "condition": number from 0, "negated": ...}}.
Today is {day}. Sources: {sources}. Currency: {currency}. Channels: {channels}. Profile: {profile}."""


def system_prompt(words: LakeWords, day: date) -> str:
    """The instructions for one lake, as of a day."""
    columns = [f"{name} (number)" for name in words.numbers]
    columns += [f"{name} ({', '.join(values[:MOST_VALUES_SHOWN])})" for name, values in words.categories.items()]
    return SYSTEM.format(
        day=day.isoformat(),
        sources=", ".join(words.sources) or "none",
        currency=words.currency or "unknown",
        channels=", ".join(words.channels[:MOST_VALUES_SHOWN]) or "none",
        profile="; ".join(columns) or "none",
    )


def question(words: LakeWords, demand: str, day: date) -> Chat:
    """The messages before the answer."""
    return [{"role": "system", "content": system_prompt(words, day)}, {"role": "user", "content": demand}]


def answer(rewritten: Rewritten) -> str:
    """The answer that a language model should give: no demand, and no similarities, which it cannot know."""
    document: dict[str, Any] = rewritten.to_dict()
    sentences = [
        {name: value for name, value in sentence.items() if name != "similarity"}
        for sentence in document.get("sentences", [])
    ]
    kept = {"conditions": document.get("conditions", []), "sentences": sentences, "rest": rewritten.rest}
    return json.dumps({name: value for name, value in kept.items() if value or name != "rest"}, ensure_ascii=False)
