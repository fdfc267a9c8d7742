"""`IntentParser`: what a message asks for, by phrases and by the names and words of the catalog.

Does not know models: the same message gives the same intents. A value is one that the catalog has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from genrec.data import ItemTable
from genrec.recommender.intent_phrases import IntentPhrases
from genrec.recommender.intents import Intent, IntentKind
from genrec.recommender.message_reading import MessageReading
from genrec.recommender.money import price_intents
from genrec.recommender.phrase_index import Mention, PhraseIndex, singular

LONGEST_PHRASE = 4  # words of something that has to be said of an item
ARTICLES = frozenset({"a", "an", "the", "some", "any", "my", "your"})


class IntentParser:
    """Reads messages.

    Args:
        items: Brands and categories of items that were shown.
        names: Names of the catalog.
        occurs: Whether some item of the catalog mentions a phrase.
        phrases: How people say what they want.
    """

    def __init__(
        self,
        items: ItemTable,
        names: PhraseIndex,
        occurs: Callable[[str], bool],
        phrases: IntentPhrases | None = None,
    ) -> None:
        self.items = items
        self.names = names
        self.occurs = occurs
        self.phrases = phrases or IntentPhrases.read()

    def parse(self, message: str, shown: Sequence[str] = ()) -> list[Intent]:
        """What a message asks for, in its order.

        Args:
            message: Untrusted text; 4,000 characters of it are read.
            shown: The items of the last reply, in its order: what "the second one" means.
        """
        reading = MessageReading(message)
        phrases = self.phrases
        found: list[tuple[int, Intent]] = []
        for name, pattern in phrases.forget_patterns.items():
            found += [(m.start(), Intent("forget", name)) for m in reading.take(pattern)]
        found += self._whole_clauses(reading)
        found += price_intents(reading, phrases)
        found += self._sizes(reading)
        references = self._references(reading, shown)
        found += self._like_that(reading, references, shown)
        names = [m for m in self.names.mentions(reading.text) if reading.is_free(m.start, m.end)]
        for mention in names:
            reading.use(mention.start, mention.end)
        found += self._comparisons(reading, references, shown)
        found += self._of_references(reading, references, shown)
        found += self._of_names(reading, names)
        found += self._words(reading, names)
        found += self._more(reading)
        found += [(m.start(), Intent("show")) for m in reading.take(phrases.pattern("show"))]
        found += self._query(reading)
        unique = dict.fromkeys(intent for _, intent in sorted(found, key=lambda pair: pair[0]))
        return list(unique)

    def _whole_clauses(self, reading: MessageReading) -> list[tuple[int, Intent]]:
        """Commands and courtesies, which are a clause of their own."""
        found: list[tuple[int, Intent]] = []
        kinds: tuple[IntentKind, ...] = ("undo", "reset", "greeting", "thanks", "goodbye")
        for kind in kinds:
            for match in reading.find(self.phrases.pattern(kind)):
                begin, end = reading.clause(match.start())
                rest = reading.text[begin : match.start()] + reading.text[match.end() : end]
                words = [w for w in re.findall(r"\w+", rest.casefold()) if w not in ("please", "so", "and")]
                if not words or (kind == "greeting" and not reading.text[: match.start()].strip()):
                    reading.use(*match.span())
                    found.append((match.start(), Intent(kind)))
        return found

    def _references(
        self, reading: MessageReading, shown: Sequence[str]
    ) -> list[tuple[int, int, tuple[str, ...]]]:
        """Parts that mean items of the last reply: start, end, item ids, none where it had no such item."""
        found: list[tuple[int, int, tuple[str, ...]]] = []
        for match in reading.take(self.phrases.pattern("last")):
            found.append((*match.span(), tuple(shown[-1:])))
        for place, pattern in self.phrases.ordinal_patterns:
            for match in reading.take(pattern):
                found.append((*match.span(), tuple(shown[place - 1 : place])))
        for match in reading.take(self.phrases.pattern("that_brand", "that_category")):
            found.append((*match.span(), ("",)))
        if shown:
            for match in reading.take(self.phrases.pattern("all_shown")):
                found.append((*match.span(), tuple(shown)))
            for match in reading.take(self.phrases.pattern("that")):
                found.append((*match.span(), tuple(shown[:1])))
        return sorted(found)

    def _like_that(
        self,
        reading: MessageReading,
        references: list[tuple[int, int, tuple[str, ...]]],
        shown: Sequence[str],
    ) -> list[tuple[int, Intent]]:
        found: list[tuple[int, Intent]] = []
        single = [ref[2][0] for ref in references if len(ref[2]) == 1 and ref[2][0]]
        for match in reading.take(self.phrases.pattern("like_that")):
            of = (single or list(shown))[:1]
            kind: IntentKind = "more_like" if of else "no_reference"
            found.append((match.start(), Intent(kind, of[0] if of else match.group().casefold())))
        return found

    def _comparisons(
        self,
        reading: MessageReading,
        references: list[tuple[int, int, tuple[str, ...]]],
        shown: Sequence[str],
    ) -> list[tuple[int, Intent]]:
        found: list[tuple[int, Intent]] = []
        kinds: tuple[IntentKind, ...] = ("cheaper", "dearer")
        for kind in kinds:
            for match in reading.take(self.phrases.pattern(kind)):
                begin, end = reading.clause(match.start())
                near = [ref for ref in references if begin <= ref[0] < end and len(ref[2]) == 1 and ref[2][0]]
                for ref in near:
                    references.remove(ref)
                found.append((match.start(), Intent(kind, near[0][2][0] if near else "")))
        return found

    def _of_references(
        self,
        reading: MessageReading,
        references: list[tuple[int, int, tuple[str, ...]]],
        shown: Sequence[str],
    ) -> list[tuple[int, Intent]]:
        found: list[tuple[int, Intent]] = []
        single = [ref for ref in references if len(ref[2]) == 1 and ref[2][0]]
        compared = single[:1] if any(ref[2] == ("",) for ref in references) else []
        for start, end, meant in references:
            written = reading.text[start:end].casefold()
            if compared and (start, end, meant) == compared[0]:
                continue  # "the same brand as the second one"
            if meant == ("",):
                of = compared[0][2] if compared else shown[:1]
                found += self._shared(reading, start, written, of)
            elif not meant:
                found.append((start, Intent("no_reference", written)))
            else:
                negative = written.startswith("none")
                found += [(start, self._action(reading, start, end, item, negative)) for item in meant]
        return found

    def _shared(
        self, reading: MessageReading, start: int, written: str, of: Sequence[str]
    ) -> list[tuple[int, Intent]]:
        """What "that brand" and "the same kind" mean: those of the item named, else of the first shown."""
        negative = self._negative(reading, start)
        if of and self.phrases.pattern("that_brand").fullmatch(written):
            brand = self.items.row(of[0]).get("brand")
            if brand:
                return [(start, Intent("not_brand" if negative else "brand", brand))]
        elif of:
            names = self.items.row(of[0]).get("categories") or []
            if names:
                return [(start, Intent("not_category" if negative else "category", names[-1]))]
        return [(start, Intent("no_reference", written))]

    def _action(
        self, reading: MessageReading, start: int, end: int, item: str, negative: bool = False
    ) -> Intent:
        """What is to be done with an item that is named."""
        begin, stop = reading.clause(start)
        before, after = reading.text[begin:start], reading.text[end:stop]
        negative = negative or self._negative(reading, start, after)
        kinds: tuple[tuple[IntentKind, str], ...] = (
            ("details", "details"),
            ("own", "owned"),
            ("more_like", "more_like"),
            ("choose", "chosen"),
        )
        for kind, name in kinds:
            cue = self.phrases.pattern(name)
            if any(True for _ in cue.finditer(before)):
                for match in cue.finditer(before):
                    reading.use(begin + match.start(), begin + match.end())
                return Intent("dislike" if negative and kind != "own" else kind, item)
        for match in self.phrases.pattern("liked", "negative_after").finditer(after):
            reading.use(end + match.start(), end + match.end())
        return Intent("dislike" if negative else "like", item)

    def _of_names(self, reading: MessageReading, names: Sequence[Mention]) -> list[tuple[int, Intent]]:
        found: list[tuple[int, Intent]] = []
        last: tuple[str, bool, int] | None = None  # kind, polarity and end of the name before
        seen: set[str] = set()
        for mention in names:
            begin, end = reading.clause(mention.start)
            if last is not None and last[0] == mention.kind and reading.is_list(last[2], mention.start):
                negative = last[1]
            else:
                negative = self._negative(reading, mention.start, reading.text[mention.end : end])
            last = (mention.kind, negative, mention.end)
            if mention.kind == "item":
                found.append(
                    (
                        mention.start,
                        self._action(reading, mention.start, mention.end, mention.value, negative),
                    )
                )
                continue
            kind: IntentKind = "brand" if mention.kind == "brand" else "category"
            opposite: IntentKind = "not_brand" if mention.kind == "brand" else "not_category"
            added = mention.kind in seen or bool(self.phrases.pattern("also").search(reading.text[begin:end]))
            found.append((mention.start, Intent(opposite if negative else kind, mention.value, added=added)))
            if not negative:
                seen.add(mention.kind)
        return found

    def _negative(self, reading: MessageReading, place: int, after: str = "") -> bool:
        """Whether the last cue of the clause before a place turns its meaning, or one behind it does."""
        begin, _ = reading.clause(place)
        before = reading.text[begin:place]
        negative = [m.end() for m in self.phrases.pattern("negative").finditer(before)]
        positive = [m.end() for m in self.phrases.pattern("positive").finditer(before)]
        if negative:
            return not positive or max(negative) >= max(positive)
        return bool(self.phrases.pattern("negative_after").search(after))

    def _words(self, reading: MessageReading, names: Sequence[Mention]) -> list[tuple[int, Intent]]:
        """What has to be said of an item, or must not be."""
        found: list[tuple[int, Intent]] = []
        for match in reading.find(self.phrases.pattern("must_not", "must", "may")):
            cue = match.group()
            _, end = reading.clause(match.start())
            tokens = reading.free_tokens(match.end(), end)
            while tokens and tokens[0].group().casefold() in ARTICLES:
                tokens = tokens[1:]
            if not tokens or reading.text[match.end() : tokens[0].start()].strip(" '\"“”").casefold() not in (
                *ARTICLES,
                "",
            ):
                continue  # a name or something else stands between
            negative = bool(self.phrases.pattern("must_not").fullmatch(cue)) or self._negative(
                reading, match.start()
            )
            phrase = self._longest(reading, tokens)
            if phrase is not None:
                reading.use(match.start(), phrase[1])
                found.append((match.start(), Intent("not_word" if negative else "word", phrase[2])))
                continue
            word = tokens[0].group()
            if word.casefold() in self.phrases.talk_words:
                continue
            if negative:  # nothing has it, so there is nothing to leave out
                reading.use(match.start(), tokens[0].end())
            elif self.phrases.pattern("must").fullmatch(cue):
                reading.use(match.start(), tokens[0].end())
                found.append((match.start(), Intent("unknown_word", word)))
        for token in reading.free_tokens():
            if not reading.is_free(*token.span()) or not self._negative(reading, token.start()):
                continue
            phrase = self._longest(
                reading, [t for t in reading.free_tokens(token.start(), reading.clause(token.start())[1])]
            )
            if phrase is not None and phrase[0] == token.start():
                reading.use(phrase[0], phrase[1])
                found.append((token.start(), Intent("not_word", phrase[2])))
        return found

    def _longest(
        self, reading: MessageReading, tokens: Sequence[re.Match[str]]
    ) -> tuple[int, int, str] | None:
        """The longest phrase from the first word on that some item mentions: start, end, the phrase."""
        if not tokens or tokens[0].group().casefold() in self.phrases.talk_words:
            return None
        for length in range(min(LONGEST_PHRASE, len(tokens)), 0, -1):
            start, end = tokens[0].start(), tokens[length - 1].end()
            written = reading.text[start:end].casefold()
            if length > 1 and not reading.is_free(start, end):
                continue
            words = written.split()
            for phrase in dict.fromkeys((written, " ".join([*words[:-1], singular(words[-1])]))):
                if len(phrase) > 1 and self.occurs(phrase):
                    return start, end, phrase
        return None

    def _sizes(self, reading: MessageReading) -> list[tuple[int, Intent]]:
        """Amounts with a unit: "50 ml" is looked for as it is written."""
        found = []
        for match in reading.find(self.phrases.money):
            if match["unit"]:
                reading.use(*match.span())
                if self.occurs(match.group().casefold()):
                    found.append((match.start(), Intent("word", match.group().casefold())))
        return found

    def _is_known(self, word: str) -> bool:
        return word in self.names.words or singular(word) in self.names.words

    def _more(self, reading: MessageReading) -> list[tuple[int, Intent]]:
        for match in reading.find(self.phrases.pattern("more")):
            begin, end = reading.clause(match.start())
            rest = [
                token.group().casefold()
                for token in reading.free_tokens(begin, end)
                if not (match.start() <= token.start() < match.end())
            ]
            if " " in match.group() or all(word in self.phrases.talk_words for word in rest):
                reading.use(*match.span())
                return [(match.start(), Intent("more"))]
        return []

    def _query(self, reading: MessageReading) -> list[tuple[int, Intent]]:
        tokens = [
            token
            for token in reading.free_tokens()
            if token.group().casefold() not in self.phrases.talk_words
            and not token.group().isdigit()
            and not self._negative(reading, token.start())
        ]
        known = [
            t for t in tokens if {t.group().casefold(), singular(t.group().casefold())} & self.names.words
        ]
        found = [(t.start(), Intent("unknown_word", t.group())) for t in tokens if t not in known]
        if known:
            found.append((known[0].start(), Intent("query", " ".join(t.group() for t in known))))
        return found
