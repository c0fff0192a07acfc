"""How marketers put it: phrases that turn known conditions into a demand.

The lists of `WRITTEN_WITH` were at hand while the grammar was written and may be used to improve it. `HELD_OUT` was
written when the grammar was done; it measures the grammar and must not be used to change it. Whoever does move its
lists to WRITTEN_WITH, and writes new ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Verbs = Mapping[tuple[str, str], tuple[str, ...]]
"""By source and form (will, will not, did, did not): phrases around a topic."""


@dataclass(frozen=True)
class Phrasings:
    """Alternatives for each piece of a demand. `spending` stands for bills with an amount; `{}` is the topic."""

    openings: tuple[str, ...]
    people: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]
    places: tuple[str, ...]
    ages: Mapping[str, tuple[str, ...]]
    categories: tuple[str, ...]
    verbs: Verbs
    spending: Mapping[str, tuple[str, ...]]
    something: tuple[str, ...]
    not_anything: tuple[str, ...]
    channels: tuple[str, ...]
    last: tuple[str, ...]
    coming: tuple[str, ...]
    since: tuple[str, ...]
    counts: Mapping[str, tuple[str, ...]]
    amounts: Mapping[str, tuple[str, ...]]
    both: tuple[str, ...]
    either: tuple[str, ...]
    contrast: tuple[str, ...]


PLAIN = Phrasings(
    openings=("{people} who", "Find {people} who", "Show me all {people} that", "I want to reach {people} who"),
    people=("customers", "users", "people", "clients", "shoppers"),
    women=("women",),
    men=("men",),
    places=("from {}", "living in {}", "in {}"),
    ages={
        ">": ("over {n}", "older than {n}"),
        "<": ("under {n}", "younger than {n}"),
        "between": ("aged {n} to {m}", "between {n} and {m} years old"),
    },
    categories=("with {column} {value}",),
    verbs={
        ("bills", "will"): ("will buy {}", "are going to order {}", "are likely to purchase {}"),
        ("bills", "will not"): ("will not buy {}", "won't order {}", "will stop buying {}"),
        ("bills", "did"): ("bought {}", "have ordered {}", "purchased {}"),
        ("bills", "did not"): ("did not buy {}", "haven't ordered {}", "have not purchased {}"),
        ("searches", "will"): ("will search for {}", "are going to look for {}"),
        ("searches", "will not"): ("will not search for {}", "are not going to look for {}"),
        ("searches", "did"): ("searched for {}", "have looked for {}"),
        ("searches", "did not"): ("did not search for {}", "never searched for {}"),
        ("visits", "will"): ("will visit {}", "are about to browse {}"),
        ("visits", "will not"): ("will not visit {}", "will no longer browse {}"),
        ("visits", "did"): ("visited {}", "viewed {}"),
        ("visits", "did not"): ("did not visit {}", "haven't viewed {}"),
        ("clicks", "will"): ("will click on {}", "are going to tap on {}"),
        ("clicks", "will not"): ("will not click on {}", "won't tap on {}"),
        ("clicks", "did"): ("clicked on {}", "have tapped on {}"),
        ("clicks", "did not"): ("did not click on {}", "never clicked on {}"),
        ("", "will"): ("are interested in {}", "need {}", "want {}"),
        ("", "will not"): ("are not interested in {}", "do not need {}"),
    },
    spending={
        "will": ("will spend {amount} on {}", "are going to spend {amount} on {}"),
        "will not": ("will not spend {amount} on {}",),
        "did": ("spent {amount} on {}", "have paid {amount} for {}"),
        "did not": ("did not spend {amount} on {}",),
    },
    something=("something", "anything"),
    not_anything=("anything",),
    channels=("by {}", "with {}"),
    last=("in the last {n} {unit}", "over the past {n} {unit}", "during the last {n} {unit}"),
    coming=("in the next {n} {unit}", "within {n} {unit}", "over the coming {n} {unit}"),
    since=("since {}",),
    counts={
        ">": ("more than {n} times",),
        ">=": ("at least {n} times", "{n} or more times"),
        "<": ("fewer than {n} times", "less than {n} times"),
        "=": ("exactly {n} times",),
    },
    amounts={
        ">": ("more than {n} {currency}", "over {n} {currency}"),
        ">=": ("at least {n} {currency}",),
        "<": ("less than {n} {currency}", "under {n} {currency}"),
    },
    both=("and", "and also"),
    either=("or",),
    contrast=("but", "and"),
)

VARIED = Phrasings(
    openings=(
        "{people} who",
        "We need a list of {people} that",
        "Who are the {people} that",
        "Our next campaign is for {people} who",
        "Please select {people} who",
        "Which {people}",
    ),
    people=("buyers", "consumers", "card holders", "members", "families", "subscribers", "individuals"),
    women=("ladies", "females", "female customers"),
    men=("gentlemen", "males", "male customers"),
    places=("based in {}", "who live in {}", "coming from {}", "resident in {}"),
    ages={
        ">": ("above {n}", "above the age of {n}", "who are more than {n} years old"),
        "<": ("below {n}", "who have not turned {n}"),
        "between": ("aged between {n} and {m}", "{n} to {m} years of age", "in the age group {n}-{m}"),
    },
    categories=("whose {column} is {value}", "in the {value} {column}"),
    verbs={
        ("bills", "will"): ("plan to buy {}", "would pay for {}", "are expected to shop for {}", "will be ordering {}"),
        ("bills", "will not"): ("are unlikely to buy {}", "have no plan to order {}", "will never purchase {}"),
        ("bills", "did"): ("made purchases of {}", "have already bought {}", "went shopping for {}", "paid for {}"),
        ("bills", "did not"): ("made no purchases of {}", "never paid for {}", "have yet to buy {}"),
        ("searches", "will"): ("may search for {}", "will be looking up {}", "are about to google {}"),
        ("searches", "will not"): ("will hardly search for {}", "will no longer look for {}"),
        ("searches", "did"): ("typed in {}", "were looking for {}", "have googled {}"),
        ("searches", "did not"): ("have never looked up {}", "failed to search for {}"),
        ("visits", "will"): ("will have a look at {}", "are set to view {}", "will be reading {}"),
        ("visits", "will not"): ("will stay away from {}", "will stop visiting {}"),
        ("visits", "did"): ("had a look at {}", "have been browsing {}", "watched {}"),
        ("visits", "did not"): ("have not seen {}", "did not look at {}"),
        ("clicks", "will"): ("will press {}", "are likely to click {}"),
        ("clicks", "will not"): ("are not going to press {}", "will not be clicking on {}"),
        ("clicks", "did"): ("pressed {}", "made clicks on {}"),
        ("clicks", "did not"): ("have not clicked {}", "did not tap {}"),
        ("", "will"): ("care about {}", "are keen on {}", "would like {}", "are into {}"),
        ("", "will not"): ("do not care about {}", "have no interest in {}", "are not into {}"),
    },
    spending={
        "will": (
            "are going to pay {amount} for {}",
            "will part with {amount} for {}",
            "intend to spend {amount} on {}",
        ),
        "will not": ("will never spend {amount} on {}", "won't pay {amount} for {}"),
        "did": ("have spent {amount} on {}", "bought {} worth {amount}"),
        "did not": ("have not spent {amount} on {}", "never paid {amount} for {}"),
    },
    something=("things", "some products", "anything at all"),
    not_anything=("a single thing", "any product", "anything whatsoever"),
    channels=("via {}", "using {}", "and paid by {}"),
    last=("within the past {n} {unit}", "these last {n} {unit}", "in the {n} {unit} before today"),
    coming=("during the coming {n} {unit}", "in the {n} {unit} ahead", "inside {n} {unit}"),
    since=("after {}", "from {} on", "since {}"),
    counts={
        ">": ("on more than {n} occasions", "over {n} times"),
        ">=": ("{n} times or more", "a minimum of {n} times", "no less than {n} times"),
        "<": ("under {n} times", "not even {n} times"),
        "=": ("precisely {n} times", "{n} times"),
    },
    amounts={
        ">": ("above {n} {currency}", "upwards of {n} {currency}"),
        ">=": ("{n} {currency} or more", "{currency} {n} and more", "no less than {n} {currency}"),
        "<": ("below {n} {currency}", "not quite {n} {currency}"),
    },
    both=("and", "as well as", "and then"),
    either=("or", "or else"),
    contrast=("but", "yet", "though they"),
)

FURTHER = Phrasings(
    openings=(
        "{people} who",
        "{people} that",
        "Identify {people} who",
        "Looking for {people} who",
        "Target group: {people} who",
        "Let us write to {people} who",
        "Pick out the {people} who",
    ),
    people=("customers", "shoppers", "persons", "subscribers", "guests", "everybody", "account holders"),
    women=("women", "ladies", "female shoppers"),
    men=("men", "males", "male shoppers"),
    places=("from {}", "residing in {}", "whose home is {}", "in {}"),
    ages={
        ">": ("older than {n}", "past the age of {n}"),
        ">=": ("of {n} years and older",),
        "<": ("younger than {n} years", "not yet {n} years old", "under {n}"),
        "between": ("from {n} to {m} years old", "aged {n}-{m}"),
    },
    categories=("with {column} {value}", "holding {column} {value}"),
    verbs={
        ("bills", "will"): (
            "will purchase {}",
            "are likely to be buying {}",
            "are willing to pay for {}",
            "will get {}",
        ),
        ("bills", "will not"): ("will not be buying {}", "won't purchase {}", "will give up buying {}"),
        ("bills", "did"): ("have purchased {}", "placed orders for {}", "picked up {}", "bought {}"),
        ("bills", "did not"): ("have not bought {}", "did not pay for {}", "placed no orders for {}"),
        ("searches", "will"): ("are going to search for {}", "will enter {} in the search box", "will query {}"),
        ("searches", "will not"): ("will never search for {}", "will stop searching for {}"),
        ("searches", "did"): ("searched for {}", "ran a search for {}", "looked up {}"),
        ("searches", "did not"): ("have not searched for {}", "did not look up {}"),
        ("visits", "will"): ("will be browsing {}", "plan to visit {}", "will take a look at {}"),
        ("visits", "will not"): ("will not look at {}", "will never visit {}"),
        ("visits", "did"): ("have viewed {}", "saw {}", "browsed through {}"),
        ("visits", "did not"): ("never visited {}", "have not browsed {}"),
        ("clicks", "will"): ("will tap {}", "are going to click on {}", "will hit {}"),
        ("clicks", "will not"): ("will not tap on {}", "will never click on {}"),
        ("clicks", "did"): ("clicked {}", "have pressed {}", "tapped {}"),
        ("clicks", "did not"): ("did not click {}", "have never pressed {}"),
        ("", "will"): ("have an interest in {}", "are fond of {}", "are looking forward to {}", "want {}"),
        ("", "will not"): ("are not fond of {}", "do not want {}", "dislike {}"),
    },
    spending={
        "will": ("will spend {amount} on {}", "are ready to spend {amount} on {}"),
        "will not": ("will not be spending {amount} on {}", "are not going to spend {amount} on {}"),
        "did": ("spent {amount} on {}", "laid out {amount} for {}", "paid {amount} for {}"),
        "did not": ("did not spend {amount} on {}", "have never spent {amount} on {}"),
    },
    something=("something", "anything", "one thing or another"),
    not_anything=("anything", "anything at all", "any of our products"),
    channels=("by {}", "through {}", "with a {}"),
    last=("in the past {n} {unit}", "over the last {n} {unit}", "not longer than {n} {unit} ago"),
    coming=("within the next {n} {unit}", "in the {n} {unit} to come", "in less than {n} {unit}"),
    since=("since {}", "starting {}", "later than {}"),
    counts={
        ">": ("more than {n} times", "above {n} times", "more often than {n} times"),
        ">=": ("at least {n} times", "{n} or more times", "not less than {n} times"),
        "<": ("fewer than {n} times", "below {n} times"),
        "=": ("exactly {n} times", "{n} times in all"),
    },
    amounts={
        ">": ("more than {currency} {n}", "in excess of {n} {currency}", "over {n} {currency}"),
        ">=": ("at least {currency} {n}", "a minimum of {n} {currency}"),
        "<": ("less than {n} {currency}", "short of {n} {currency}"),
    },
    both=("and", "and also", "plus"),
    either=("or",),
    contrast=("but", "however they", "and"),
)

MORE = Phrasings(
    openings=(
        "{people} who",
        "I am after {people} who",
        "Build an audience of {people} that",
        "Get me {people} who",
        "All the {people} who",
        "For this mailing we want {people} who",
    ),
    people=("customers", "clients", "users", "households", "visitors", "our members"),
    women=("women", "females"),
    men=("men", "gentlemen"),
    places=("from {}", "who are living in {}", "resident of {}", "in {}"),
    ages={
        ">": ("over {n}", "over {n} years old", "beyond {n} years of age"),
        "<": ("under the age of {n}", "below {n} years", "under {n}"),
        "between": ("between the ages of {n} and {m}", "aged from {n} to {m}", "{n} to {m} years old"),
    },
    categories=("with a {column} of {value}", "having {column} {value}"),
    verbs={
        ("bills", "will"): ("will buy {}", "are about to order {}", "are thinking of buying {}", "want to purchase {}"),
        ("bills", "will not"): ("will not order {}", "are not going to purchase {}", "will quit buying {}"),
        ("bills", "did"): ("bought {}", "have already ordered {}", "have been buying {}", "paid for {}"),
        ("bills", "did not"): ("did not order {}", "have never bought {}", "have not been buying {}"),
        ("searches", "will"): ("will be searching for {}", "will try to find {}", "are going to look up {}"),
        ("searches", "will not"): ("will not be looking for {}", "won't search for {}"),
        ("searches", "did"): ("have been searching for {}", "googled {}", "looked for {}"),
        ("searches", "did not"): ("have not looked for {}", "didn't search for {}"),
        ("visits", "will"): ("will view {}", "are going to watch {}", "will go and see {}"),
        ("visits", "will not"): ("will not watch {}", "won't be visiting {}"),
        ("visits", "did"): ("looked at {}", "have visited {}", "came across {}"),
        ("visits", "did not"): ("have not looked at {}", "didn't view {}"),
        ("clicks", "will"): ("will click {}", "will be tapping {}"),
        ("clicks", "will not"): ("won't click on {}", "are not about to tap on {}"),
        ("clicks", "did"): ("have clicked on {}", "tapped on {}", "did click {}"),
        ("clicks", "did not"): ("didn't click on {}", "have not tapped on {}"),
        ("", "will"): ("are interested in {}", "love {}", "could use {}", "are crazy about {}"),
        ("", "will not"): ("are not keen on {}", "don't like {}", "could not care less about {}"),
    },
    spending={
        "will": ("will spend {amount} on {}", "plan to pay {amount} for {}", "are going to buy {} for {amount}"),
        "will not": ("won't spend {amount} on {}", "will not pay {amount} for {}"),
        "did": ("paid {amount} for {}", "have spent {amount} on {}", "put {amount} into {}"),
        "did not": ("didn't spend {amount} on {}", "have not paid {amount} for {}"),
    },
    something=("something", "anything", "some stuff"),
    not_anything=("anything", "anything else", "a thing"),
    channels=("by {}", "with {}", "and settled it by {}"),
    last=("in the last {n} {unit}", "within the last {n} {unit}", "in the course of the past {n} {unit}"),
    coming=("in the next {n} {unit}", "over the next {n} {unit}", "before {n} {unit} have passed"),
    since=("since {}", "from {} onwards", "after {}"),
    counts={
        ">": ("more than {n} times", "over {n} times"),
        ">=": ("at least {n} times", "{n} times at least", "{n} or more times"),
        "<": ("less than {n} times", "fewer than {n} times", "not as often as {n} times"),
        "=": ("exactly {n} times", "just {n} times"),
    },
    amounts={
        ">": ("more than {n} {currency}", "over {currency} {n}", "{n} {currency} and then some"),
        ">=": ("at least {n} {currency}", "{n} {currency} at the least", "from {n} {currency} up"),
        "<": ("under {n} {currency}", "less than {currency} {n}"),
    },
    both=("and", "and also", "and besides"),
    either=("or", "or alternatively"),
    contrast=("but", "and", "but on the other hand"),
)

UNSEEN = Phrasings(
    openings=(
        "{people} who",
        "{people} that",
        "I would like to talk to {people} who",
        "Which of our {people}",
        "Prepare a campaign for {people} who",
        "Find all {people} who",
    ),
    people=("customers", "people", "users", "buyers", "patrons", "account owners"),
    women=("women", "ladies"),
    men=("men", "guys"),
    places=("from {}", "living in {}", "whose city is {}", "near {}"),
    ages={
        ">": ("over {n}", "aged over {n}", "of more than {n} years"),
        "<": ("younger than {n}", "who are under {n}"),
        "between": ("aged {n} to {m}", "between {n} and {m}"),
    },
    categories=("with {column} {value}", "on {column} {value}"),
    verbs={
        ("bills", "will"): (
            "will buy {}",
            "are going to buy {}",
            "are likely to spend money on {}",
            "will shop for {}",
        ),
        ("bills", "will not"): ("will not buy {}", "are no longer going to buy {}", "refuse to buy {}"),
        ("bills", "did"): ("bought {}", "have bought {}", "did buy {}", "took home {}"),
        ("bills", "did not"): ("did not buy {}", "have not ordered {}", "bought no {}"),
        ("searches", "will"): ("will search for {}", "are going to hunt for {}", "will google {}"),
        ("searches", "will not"): ("will not search for {}", "are not going to google {}"),
        ("searches", "did"): ("searched for {}", "have been looking for {}", "asked about {}"),
        ("searches", "did not"): ("never looked for {}", "have not been searching for {}"),
        ("visits", "will"): ("will visit {}", "will be looking at {}", "are going to check out {}"),
        ("visits", "will not"): ("will not visit {}", "are not going to view {}"),
        ("visits", "did"): ("visited {}", "have looked at {}", "read about {}"),
        ("visits", "did not"): ("did not visit {}", "never viewed {}"),
        ("clicks", "will"): ("will click on {}", "are about to click on {}"),
        ("clicks", "will not"): ("will not click on {}", "will stop clicking on {}"),
        ("clicks", "did"): ("clicked on {}", "have tapped {}", "clicked their way to {}"),
        ("clicks", "did not"): ("never clicked on {}", "have not pressed {}"),
        ("", "will"): ("are interested in {}", "need {}", "have a weakness for {}", "enjoy {}"),
        ("", "will not"): ("are not interested in {}", "do not enjoy {}", "can live without {}"),
    },
    spending={
        "will": ("will spend {amount} on {}", "will invest {amount} in {}"),
        "will not": ("will not spend {amount} on {}", "are unwilling to pay {amount} for {}"),
        "did": ("spent {amount} on {}", "have paid {amount} for {}"),
        "did not": ("did not spend {amount} on {}", "have not laid out {amount} for {}"),
    },
    something=("something", "anything", "whatever"),
    not_anything=("anything", "anything more", "the least thing"),
    channels=("by {}", "via {}", "by means of {}"),
    last=("in the last {n} {unit}", "over the past {n} {unit}", "in the {n} {unit} just gone"),
    coming=("in the next {n} {unit}", "within {n} {unit}", "some time in the next {n} {unit}"),
    since=("since {}", "as of {}", "from {} on"),
    counts={
        ">": ("more than {n} times", "well over {n} times"),
        ">=": ("at least {n} times", "{n} or more times", "{n} times if not more"),
        "<": ("fewer than {n} times", "less than {n} times"),
        "=": ("exactly {n} times", "{n} times sharp"),
    },
    amounts={
        ">": ("more than {n} {currency}", "over {n} {currency}", "well over {currency} {n}"),
        ">=": ("at least {n} {currency}", "{n} {currency} or more"),
        "<": ("less than {n} {currency}", "under {n} {currency}"),
    },
    both=("and", "and moreover"),
    either=("or", "or instead"),
    contrast=("but", "and", "even though they"),
)

WRITTEN_WITH = (PLAIN, VARIED, FURTHER, MORE)
HELD_OUT = (UNSEEN,)
