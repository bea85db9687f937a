"""The regular forms of English words, and the common irregular ones."""

from __future__ import annotations

import re

_IRREGULAR = {
    "beat": "beats beating beaten",
    "break": "breaks broke broken breaking",
    "bring": "brings brought bringing",
    "build": "builds built building",
    "burn": "burns burned burnt burning",
    "buy": "buys bought buying",
    "come": "comes came coming",
    "cut": "cuts cutting",
    "die": "dies died dying",
    "do": "does did done doing",
    "drive": "drives drove driven driving",
    "find": "finds found finding",
    "get": "gets got gotten getting",
    "give": "gives gave given giving",
    "hang": "hangs hanged hung hanging",
    "have": "has had having",
    "hide": "hides hid hidden hiding",
    "hit": "hits hitting",
    "hurt": "hurts hurting",
    "lead": "leads led leading",
    "let": "lets letting",
    "make": "makes made making",
    "put": "puts putting",
    "rid": "rids ridding",
    "run": "runs ran running",
    "sell": "sells sold selling",
    "send": "sends sent sending",
    "set": "sets setting",
    "shoot": "shoots shot shooting",
    "slay": "slays slew slain slaying",
    "speak": "speaks spoke spoken speaking",
    "steal": "steals stole stolen stealing",
    "strike": "strikes struck striking",
    "take": "takes took taken taking",
    "teach": "teaches taught teaching",
    "tell": "tells told telling",
    "think": "thinks thought thinking",
    "write": "writes wrote written writing",
    "man": "men",
    "woman": "women",
    "child": "children",
    "person": "people persons",
    "wife": "wives",
    "knife": "knives",
    "thief": "thieves",
}
_PARTICLES = frozenset(
    re.findall(
        r"\w+",
        """
        up out off down in on into over away from to with at of through apart
        """,
    )
)
_VOWELS = "aeiou"
_DOUBLING = frozenset(
    re.findall(
        r"\w+",
        """
        rob stab drug beg grab plan plot rig rip strip trap whip con scam spam hit kidnap traffic hotwire
        gun gag rub dox dob mug nab shop tap bug hack jam ram cum shag slap stop drop ship smuggle log slut
        run
        """,
    )
)


def inflect(phrase: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return ``phrase`` and its inflected forms.

    The last word is inflected ("pipe bombs"); in a verb with a particle the first ("blew up").
    """
    forms = {phrase}
    if (len(phrase) > 1 and phrase[-1] in _PARTICLES) or (len(phrase) > 2 and phrase[1] in _PARTICLES):
        forms.update((form, *phrase[1:]) for form in forms_of(phrase[0]))
    else:
        forms.update((*phrase[:-1], form) for form in forms_of(phrase[-1]))
    return forms


def forms_of(word: str) -> set[str]:
    """Return the forms of one word; of a word that is not plain letters, only itself."""
    if not (word.isascii() and word.isalpha()) or len(word) < 2:
        return {word}
    if word in _IRREGULAR:
        return {word, *_IRREGULAR[word].split()}
    forms = {word, _with_s(word)}
    if word.endswith("e"):
        forms |= {word + "d", word[:-1] + "ing"}
    elif word.endswith("y") and word[-2] not in _VOWELS:
        forms |= {word[:-1] + "ied", word + "ing"}
    elif word.endswith("ic") and word in _DOUBLING:
        forms |= {word + "ked", word + "king"}
    elif word in _DOUBLING:
        forms |= {word + word[-1] + "ed", word + word[-1] + "ing", word + "ed", word + "ing"}
    else:
        forms |= {word + "ed", word + "ing"}
    return forms


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"
