"""Which language a demand is in, where it is plainly not English: by its script, or by its function words.

A demand is a few words long, too few for statistics of letters, and half of them are names of things that every
language shares. What tells a language is its function words, and the few words that demands begin with ("Kunden,
die"). Words that are English as well are left out, and so are words between quotation marks: they are titles.
"""

import re
import unicodedata

WEIGHT = 2
"""A foreign word counts for another language, an English function word this much against it."""
FEWEST = 2
"""One short foreign word alone may be part of a name."""
LONG = 5
"""A word of so many letters counts twice."""

_WORDS = {
    "German": (
        "und oder der das dem ein eine einen einem einer nicht kein keine mit von für auf aus bei werden wird "
        "wollen möchten sich nächsten nächste letzten über zum zur ohne sind haben kunden kunde nutzer leute "
        "familien kaufen kauft käufer interessieren planen brauchen suchen gerne ist ihre ihren"
    ),
    "French": (
        "le la les des un une du et ou qui que dans avec sans pas vont aux ce cette leur leurs est sont ont "
        "prochain prochaine acheter achètent achèteront acheteurs utilisateurs familles gens personnes aiment "
        "cherchent veulent pour"
    ),
    "Spanish": (
        "el la los las un una unos unas del que para por en está están su sus próximo próxima clientes cliente "
        "compran comprar comprarán usuarios familias personas gente quieren buscan interesados"
    ),
    "Portuguese": (
        "um uma das da nas nos ou que com para por sem não está estão vão seu seus próximo próxima clientes "
        "compram comprar comprarão usuários famílias pessoas gente querem procuram"
    ),
    "Italian": (
        "il lo la gli le un uno una del della dei delle che senza non di da nel nella sono hanno prossimo "
        "prossima clienti cliente comprare comprano compreranno utenti famiglie persone vogliono cercano "
        "interessati"
    ),
    "Dutch": (
        "het een en niet geen voor naar bij zonder zijn hebben zullen gaan deze dat wie klanten klant kopen "
        "gezinnen mensen gebruikers willen zoeken volgende binnenkort"
    ),
    "Swedish": (
        "och eller som inte ett att på är har kommer snart nästa utan kunder köpa köper familjer användare vill söker"
    ),
    "Danish": ("og eller som ikke et at på af har vil snart næste uden kunder købe køber familier brugere søger"),
    "Finnish": "ja tai joka jotka ei eivät on ovat kun asiakkaat ostavat perheet käyttäjät pian haluavat ensi",
    "Polish": (
        "i lub który którzy która nie się jest są będą dla bez klienci klient kupią kupować kupują rodziny "
        "ludzie użytkownicy chcą wkrótce"
    ),
    "Czech": ("a nebo který kteří která je jsou budou bez zákazníci koupí kupují rodiny lidé uživatelé chtějí brzy"),
    "Turkish": "ve veya bir bu için ile olan değil müşteriler müşteri alacak insanlar aileler isteyen",
    "Indonesian": "yang atau untuk dengan tidak akan dari pelanggan membeli keluarga pengguna orang ingin segera",
}
_ENGLISH = frozenset(
    (
        "a about all an and any are as at be been before but by do does each for from had has have i in into is "
        "it its just last less like me more most my next no not of on or our out over people soon some than "
        "that the their them then they this those to under up us was we were what when which who whom whose "
        "will with without would you your"
    ).split()
)
_FOREIGN = {language: frozenset(words.split()) - _ENGLISH for language, words in _WORDS.items()}
_QUOTED = re.compile(r"\"[^\"]*\"|\N{LEFT DOUBLE QUOTATION MARK}[^\N{RIGHT DOUBLE QUOTATION MARK}]*.")


def other_language(demand: str) -> str:
    """The language (or script) of a demand that is not English; "" where nothing tells."""
    text = _QUOTED.sub(" ", unicodedata.normalize("NFC", demand))
    letters = [character for character in text if character.isalpha()]
    foreign = [character for character in letters if not unicodedata.name(character, "").startswith("LATIN")]
    if len(foreign) > len(letters) / 2:
        return f"{unicodedata.name(foreign[0], 'an unknown').split()[0].capitalize()} script"
    words = re.findall(r"[^\W\d_]+", text.lower())
    english = sum(word in _ENGLISH for word in words)
    found = {name: sum(1 + (len(w) >= LONG) for w in set(words) & known) for name, known in _FOREIGN.items()}
    likeliest = max(found, key=lambda name: found[name])
    return likeliest if found[likeliest] >= max(FEWEST, WEIGHT * english + 1) else ""
