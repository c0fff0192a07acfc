"""The words of English demands, as data: verbs by source, numbers, units, comparisons, what is said and means nothing.

All are regular expressions or words for a demand in lower case with its contractions written out (`normalised`).
"""

from collections.abc import Mapping

CONTRACTIONS: Mapping[str, str] = {
    r"\bwon't\b": "will not",
    r"\bcan't\b": "can not",
    r"\bcannot\b": "can not",
    r"n't\b": " not",
    r"'ve\b": " have",
    r"'ll\b": " will",
    r"'re\b": " are",
    r"\bwho's\b": "who is",
}

PRESENT_VERBS: Mapping[str, tuple[str, ...]] = {
    "bills": (
        *"buy purchase order shop pay spend book acquire obtain procure invest".split(),
        *("part with", "shell out", "splash out", "stock up", "snap up", "pick up", "take home", "get hold of"),
        *("treat themselves to", "opt for", "fork out", "check out with"),
    ),
    "searches": (
        *"search query google research".split(),
        *("look for", "look up", "look into", "hunt for", "type in", "try to find", "ask about", "inquire about"),
        *("use the site search to find", "use the search to find"),
        *(f"search {place} for" for place in ("the site", "our site", "the shop", "our shop", "the web")),
    ),
    "visits": (
        *"browse visit watch view read see explore inspect".split(),
        *("look at", "look through", "check out", "read about", "scroll through", "stop by", "drop in on", "open"),
        *("land on", "arrive at", "end up on"),
    ),
    "clicks": ("click", "tap", "press", "click through to", "click their way to", "tap through to"),
    "": ("like", "love", "enjoy", "need", "want", "care about", "plan", "prepare", "consider", "use", "get"),
}
ALSO_NOUNS = frozenset("like love use plan watch view order book press tap shop".split())
"""Present verbs that are read as nouns where only a conjunction stands before them: "candles or love hearts"."""
PAST_VERBS: Mapping[str, tuple[str, ...]] = {
    "bills": (
        *"bought purchased ordered shopped paid spent booked settled acquired obtained procured invested".split(),
        *("picked up", "shelled out", "splashed out", "stocked up", "snapped up", "took home", "taken home"),
        *("got hold of", "laid out", "parted with", "treated themselves to", "opted for", "forked out"),
        "checked out with",
    ),
    "searches": (
        *"searched queried googled researched sought".split(),
        *("looked for", "looked up", "looked into", "hunted for", "typed in", "tried to find", "asked about"),
        *("inquired about", "used the site search to find", "used the search to find"),
        *(f"searched {place} for" for place in ("the site", "our site", "the shop", "our shop", "the web")),
    ),
    "visits": (
        *"browsed visited watched viewed saw seen explored inspected opened".split(),
        *("looked at", "looked through", "came across", "checked out", "read about", "scrolled through"),
        *("stopped by", "dropped in on", "landed on", "arrived at", "ended up on"),
    ),
    "clicks": ("clicked", "tapped", "pressed", "clicked through to", "clicked their way to", "tapped through to"),
    "": ("got", "liked", "loved", "enjoyed", "needed", "wanted", "planned", "prepared", "considered", "used"),
}
GOING_VERBS: Mapping[str, tuple[str, ...]] = {
    "bills": (
        *"buying purchasing ordering shopping paying spending booking acquiring obtaining procuring investing".split(),
        *("shelling out", "splashing out", "stocking up", "snapping up", "picking up"),
    ),
    "searches": (
        *"searching querying googling researching".split(),
        *("looking for", "looking up", "looking into", "hunting for", "asking about", "inquiring about"),
    ),
    "visits": (
        *"browsing visiting watching viewing reading seeing exploring inspecting".split(),
        *("looking at", "looking through", "checking out", "reading about", "scrolling through"),
    ),
    "clicks": ("clicking", "tapping", "pressing"),
    "": (
        "liking",
        "needing",
        "wanting",
        "planning",
        "preparing",
        "considering",
        "using",
        "interested in",
        "keen on",
        "fond of",
        "looking forward to",
        "into",
    ),
}
VERB_NOUNS: Mapping[str, tuple[str, ...]] = {
    "bills": (
        *("purchases?(?: of)?", "orders?(?: for)?", "bills?(?: for)?", "transactions?", "payments?(?: for)?"),
        "buyers of",
    ),
    "searches": ("search(?:es)?(?: for)?", "queries(?: for)?", "query(?: for)?"),
    "visits": ("visits?(?: to)?", "views?(?: of)?", "looks? at", "pages? about", "pages? on", "pages? for"),
    "clicks": (
        "clicks?(?: on)?",
        "taps?(?: on)?",
        "links? to",
        "links? about",
        "links? on",
        "banners? for",
        "ads? for",
    ),
    "": ("fans of", "lovers of", "interest in", "the market for", "events?", "activity", "activities"),
}
"""A noun for an event: "no purchases", "more than 3 orders"."""

FUTURE_WORDS = (
    r"(?:(?:is|are|be) )?(?:going|about|likely|set|due|bound|expected|ready|willing|prepared) to",
    r"(?:(?:is|are|be) )?(?:planning|intending|looking) to",
    r"(?:plan|intend|want|mean|expect|aim|hope)s? to|(?:is|are) thinking (?:of|about)",
    r"will(?: be)?|shall|would|might|may|could|should",
)
NEGATIONS = (
    r"dislikes?|unlikely to|no (?:plan|intention|wish|need)s? to|yet to|(?:stay|keep)(?:s|ing)? away from",
    r"hardly|barely|scarcely|(?:refus|declin)(?:e|es|ed|ing) to|unwilling to|(?:can|could) (?:do|live)(?= without)",
    r"(?:go|goes|went|gone|going|do|does|did|done|doing) without(?= \w+ing\b)",
    r"no longer|not yet|not|never|no|nothing|none|neither|nor",
    r"(?:(?:stop|quit|ceas|avoid)(?:s|es|e|p?ed|p?ing|ing)?|(?:give|gives|gave|given|giving) up)(?= (?:\w+ )?\w+ing\b)",
    r"refrain(?:s|ed|ing)? from|fail(?:s|ed|ing)? to|lack(?:s|ed|ing)?",
)
STOPPED = r"yet to|gave up|(?:stopp|ceas|avoid|refrain|fail|lack|refus|declin)ed|(?:went|gone|did|done) without"
"""A negation in the past."""
IDLE = (
    r"(?:do|does|did|done|doing) (?:nothing|not do anything)|not do anything|not done anything",
    r"(?:leav(?:e|es|ing)|left) (?:us|for good|the (?:shop|bank|service|platform|company))(?: for good)?",
    r"churn(?:s|ed|ing|ers)?|laps(?:e|es|ed|ing)|drop(?:s|ped|ping)? out",
    r"(?:become|becomes|became|go|goes|went|gone|going|fall|falls|fell|fallen|be|are|is) "
    r"(?:inactive|dormant|silent|quiet|idle)|inactive|dormant",
)
"""Doing nothing at all: the template's own sentence."""

JOINTS: Mapping[str, tuple[str, bool]] = {
    r"(?:everyone|everybody|anyone|anybody|all) but|with the exception of|except(?: for)?": ("but", True),
    r"but not|and not": ("and", True),
    r"but also|as well as|and also|and then|and besides|and in addition|and moreover|and furthermore|and what is more"
    r"|and on top of that|and at the same time|and additionally|along with|and|plus|&": ("and", False),
    r"or else|or alternatively|or otherwise|or instead|or failing that|or even|or": ("or", False),
    r"but on the other hand|but then|but nevertheless|but still|and yet|but": ("but", False),
    r"however|while|whereas|even though|although|though|yet": ("but", False),
    r"excluding|apart from|other than|rather than|without|minus": ("but", True),
}
"""What separates two wishes, and whether it negates the second."""
PUNCTUATION: Mapping[str, tuple[str, bool]] = {
    r"[,;](?= )": (",", False),
    r"(?<=\w{3})[.!?](?= )": ("and", False),
}

PEOPLE = (
    *"customers? clients? people persons? users? shoppers? consumers? buyers? members? accounts? visitors?".split(),
    *"households? families family folks? those individuals? subscribers? viewers?".split(),
    *"guests? cardholders? audience patrons? purchasers? contacts prospects regulars adults cohort".split(),
    "card holders?",
    "account holders?",
    "account owners?",
    "everyone(?! but)",
    "everybody(?! but)",
    "anyone(?! but)",
)
OPENING = (
    r"^(?:(?!\b(?:who|that|will)\b)[a-z ]){1,40}:|looking for(?= .*\b(?:who|that)\b)|(?:let us )?write to"
    r"|(?:an? |the )?(?:list|audience|segment|group) of"
    r"|(?<!to )(?:please )?(?:can you |could you )?(?:find|show|give|list|select|target|reach|get|send|choose|identify"
    r"|pick(?! up)|pull|determine|detect|locate|name|extract|filter|contact|address|approach|email|notify|invite)"
    r"(?: (?:me|us))?"
    r"|(?:(?:i|we)(?: am| are)?(?: would)? (?:want|like|need|wish) to )?(?:talk|speak|write|reach out) to"
    r"|(?:i|we)(?: am| are)?(?: would)? (?:want|like|need|wish|look|looking)(?: (?:to (?:find|reach|target|see)|for))?"
)
ADDRESSED = r"\b(?:for|to|of|at|with|out|up|is|are|me|us)$|:$"
"""What stands before the people a demand is about, and is no topic: "our next campaign is for"."""
LEADS_IN = r"\b(?:is|are|campaign|offer|mailing|message|audience|group|write|looking) (?:for|to|of|at)$"
LOVERS = "fans? lovers? enthusiasts? owners? freaks? addicts?".split()

FILLER = frozenset(
    (
        "else besides alternatively moreover whatever whichever instead least "
        "take takes taking has through "
        "cent penny dime amount done "
        "a about again all already also am an another any anything are as at be been being by currently did do "
        "does even ever for from go going goods had has have having he her his in into is it item items its just "
        "kind made make makes making many money more most much my now of on once one only our out people place "
        "placed places placing please probably product products really she single so some someone something soon "
        "sort still stuff than that the their them then there these they thing things this those to total up us "
        "very was were whatsoever which who whom with worth yet your "
    ).split()
)
"""Words without a topic of their own at either end of one; a topic of nothing else is anything."""
TRAILING = frozenset(
    "all again also still ever yet already soon lately recently at on in for to of with by and or".split()
)
"""Words dropped from a topic's end; "a book about it" keeps more than it opens with."""

VAGUE = frozenset(
    (
        "good better best great valuable loyal important top premium nice perfect ideal interesting relevant "
        "potential right target suitable profitable happy promising quality high value engaged attractive "
        "typical real key main"
    ).split()
)
"""A topic of nothing else praises users and says nothing that they do."""

NUMBERS = {
    word: value
    for value, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
} | {
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
    "hundred": 100,
    "thousand": 1000,
}
TIMES = {"once": 1, "twice": 2, "thrice": 3}
COMPARED: Mapping[str, str] = {
    r"at least|no less than|not less than|no fewer than|a minimum of|minimum": ">=",
    r"at most|no more than|not more than|up to|a maximum of|maximum": "<=",
    r"more than|over|above|past|greater than|exceeding|older than|higher than|beyond": ">",
    r"well over|well above|well beyond|far more than|far over": ">",
    r"upwards of|in excess of|more often than": ">",
    r"less than|fewer than|under|below|younger than|lower than|not even|not quite|not yet|short of": "<",
    r"smaller than|less often than": "<",
    r"exactly|precisely|just": "=",
}
COMPARED_AFTER: Mapping[str, str] = {
    r"and then some": ">",
    r"sharp|in all|in total": "=",
    r"if not more|or more|or above|or over|or older|and above|and over|and older|and more": ">=",
    r"plus|at least|at the least|at minimum|\+": ">=",
    r"or less|or fewer|or under|or below|or younger|and under|and below|and younger": "<=",
}

FEW = {"a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 5, "half a": 0.5, "half": 0.5}
"""What is no number and meant as one of units of time: "the last few weeks"."""
UNIT_DAYS = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "quarter": 90, "year": 365}
MONTHS = "january february march april may june july august september october november december".split()
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""The first of a season's three months, in the northern half."""

CURRENCIES: Mapping[str, str] = {
    r"£|gbp|pounds? sterling|pounds?|quid": "GBP",
    r"€|eur|euros?": "EUR",
    r"us\$|\$|usd|us dollars?|dollars?|bucks": "USD",
    r"¥|cny|rmb|yuan": "CNY",
    r"jpy|yen": "JPY",
    r"twd|nt\$|new taiwan dollars?": "TWD",
    r"chf|swiss francs?": "CHF",
    r"inr|rupees?": "INR",
}

AGE_COLUMNS = frozenset({"age", "age_years", "user_age"})
GENDER_COLUMNS = frozenset({"gender", "sex"})
PLACE_COLUMNS = frozenset("city town country region place state province location district county home_city".split())
GENDERS = (
    (r"women|woman|females?|ladies|lady|girls?|mothers|moms|mums", ("female", "f", "woman", "women", "w")),
    (r"men|man|males?|gentlemen|guys|boys?|fathers|dads", ("male", "m", "man", "men")),
)
