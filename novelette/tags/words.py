"""Words of captions, titles and descriptions: which of them can be tags, and texts as bags of words.

Nothing is downloaded, so no tagger of parts of speech says what is a noun or a verb. A word can be a tag when it is in neither list below:
of English function words, and of numbers and the adjectives and adverbs that captions are full of. Inflected
words fall together with a word that the same texts have: `dogs` with `dog`, `running` with `run`, and wrongly, where both are there,
`building` with `build`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FUNCTION_WORDS = frozenset(  # no part of any text
    re.findall(
        r"\w+",
        """
    a about above across after against all along alongside also although am among an and another any anything are area around as aside at
    away back background be because been before behind being below beneath beside besides between both but by can could did do does doing
    done down during each either else etc every everyone few for foreground from front get gets getting go goes going got had has have
    having he her here herself him himself his how i if in inside into is it its itself just kind left let lot lots made make makes making
    many me middle mid more most much my near nearby neither next no nor not of off on one onto only or other others our out outside over
    own part past per put puts putting rather right s same set several she side so some someone something somewhere such t than that the
    their them themselves then there these they thing things this those though through to together too toward towards two type under
    underneath until up upon us use used uses using various very via was way we were what when where which while whilst who whom whose why
    will with within without would you your
    """,
    )
)
QUALITIES = frozenset(  # numbers, colours, sizes, places, and words of looking: no tags
    re.findall(
        r"\w+",
        """
    zero three four five six seven eight nine ten first second third dozen couple pair half single lone number
    white black brown red blue green yellow orange pink purple gray grey tan golden gold silver blond blonde beige maroon teal colored
    coloured colorful colourful dark light bright
    little small large big huge tiny tall short long high low wide thin thick young old older elderly new full empty open closed wet dry
    hot cold warm shallow deep steep rocky sandy grassy snowy wooden wooded muddy dusty icy cloudy sunny asian african american busy crowded
    different similar attached covered outdoor outdoors indoor indoors male female striped shirtless fluffy furry spotted plaid good nice
    pretty beautiful happy ready able various almost ahead apart forward backward backwards upside sideways well still yet already really
    top bottom end edge haired look looks looking looked seem seems show shows showing shown see sees seen
    """,
    )
)
IRREGULAR = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
    men:man women:woman children:child kids:kid people:person feet:foot teeth:tooth leaves:leaf wolves:wolf knives:knife ran:run
    swam:swim sat:sit stood:stand held:hold rode:ride caught:catch threw:throw thrown:throw worn:wear wore:wear lying:lie laying:lie
    lays:lie lies:lie took:take taken:take ate:eat fell:fall fallen:fall
    """,
    )
)
FEWEST_TEXTS = 2  # that have a word, for it to be known


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, as they stand in it, but for function words and single letters."""
    return [word for word in re.findall(r"[^\W\d_]+", text.lower()) if len(word) > 1 and word not in FUNCTION_WORDS]


def content_words(text: str) -> list[str]:
    """Those that can be tags."""
    return [word for word in words_of(text) if word not in QUALITIES]


def base_forms(words: Iterable[str]) -> dict[str, str]:
    """What each of some words falls together with: the first of its possible base forms that is among them, or that another of them
    may come from as well (`leaps` and `leaping` make `leap`), else itself.
    """
    given = frozenset(words)
    possible = {word: _bases(word) for word in given}
    proposed = Counter(base for bases in possible.values() for base in bases)
    known = given | {base for base, words_of in proposed.items() if words_of > 1}
    return {word: IRREGULAR.get(word) or next((base for base in possible[word] if base in known), word) for word in given}


def _bases(word: str) -> list[str]:
    """What a regular English plural or verb form may come from, best guess first. Short ones are left alone: bus, wing, bed."""
    for ending, stem in (("ies", word[:-3] + "y"), ("es", word[:-2]), ("s", word[:-1])):
        if word.endswith(ending) and not word.endswith("ss") and len(word) > 3:
            return [stem] if ending == "ies" else list(dict.fromkeys([word[:-1], stem]))
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2:
            undoubled = [stem[:-1]] if stem[-1] == stem[-2] else []
            return [*undoubled, stem + "e", stem]
    return []


def lemmatized(texts: Sequence[str]) -> list[list[str]]:
    """The content words of each text in their base forms, which are those of all these texts together."""
    found = [content_words(text) for text in texts]
    base = base_forms(word for words in found for word in words)
    return [[base[word] for word in words] for words in found]


def known_words(texts: Sequence[str]) -> tuple[str, ...]:
    """The words that at least two texts have, most frequent first, equally frequent ones in the alphabet's order."""
    count = Counter(word for text in texts for word in set(words_of(text)))
    return tuple(sorted((word for word, n in count.items() if n >= FEWEST_TEXTS), key=lambda word: (-count[word], word)))


def bags(texts: Sequence[str], words: Sequence[str]) -> NDArray[np.float32]:
    """How often each text has each of some words, made to length 1, (N, V); a text without any is 0.

    With a matrix of word vectors (V, E) a text of n different words makes √n times the mean of its words' vectors, (N, E).
    """
    place = {word: i for i, word in enumerate(words)}
    counts = np.zeros((len(texts), len(words)), np.float32)
    for row, text in zip(counts, texts, strict=True):
        for word in words_of(text):
            if word in place:
                row[place[word]] += 1
    return np.asarray(counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1))
