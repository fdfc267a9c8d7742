"""Limits on the price in a message: "under 20 dollars", "between $10 and $20", "30 euros or more".

Does not know items or what was shown.
"""

from __future__ import annotations

import re

from genrec.recommender.intent_phrases import IntentPhrases
from genrec.recommender.intents import Intent
from genrec.recommender.message_reading import MessageReading

AROUND = 0.25  # "around 20" is 15 to 25


def price_intents(reading: MessageReading, phrases: IntentPhrases) -> list[tuple[int, Intent]]:
    """Limits with their places; what they are made of is marked as understood.

    An amount is money where a currency stands with it or a phrase of comparison before or behind it; one with
    a unit ("50 ml") is not. An amount alone ("I have 20 dollars") is a highest price.
    """
    amounts = [m for m in reading.find(phrases.money) if m["unit"] is None or m["before"]]
    found: list[tuple[int, Intent]] = []
    place = 0
    while place < len(amounts):
        match, following = amounts[place], amounts[place + 1 : place + 2]
        value = _number(match["number"], phrases)
        before = reading.text[reading.clause(match.start())[0] : match.start()]
        if following and _is_range(reading, phrases, before, match, following[0]):
            low, high = sorted((value, _number(following[0]["number"], phrases)))
            start = _start_of_cue(phrases.pattern("between"), before, match)
            reading.use(start, following[0].end())
            found += [(start, Intent("min_price", amount=low)), (start, Intent("max_price", amount=high))]
            place += 2
            continue
        place += 1
        cue = _last(phrases.pattern("at_most", "at_least", "around"), before)
        after = reading.text[match.end() : reading.clause(match.start())[1]]
        behind = phrases.pattern("or_less", "or_more").match(after.lstrip())
        if cue is None and behind is None and not (match["before"] or match["behind"]):
            continue
        start = match.start() - (len(before) - cue.start() if cue is not None else 0)
        end = match.end() + (len(after) - len(after.lstrip()) + behind.end() if behind is not None else 0)
        reading.use(start, end)
        if behind is not None:
            least = bool(phrases.pattern("or_more").fullmatch(behind.group()))
            least = least and not phrases.pattern("or_less").fullmatch(behind.group())
        else:
            least = cue is not None and bool(phrases.pattern("at_least").fullmatch(cue.group()))
        if behind is None and cue is not None and phrases.pattern("around").fullmatch(cue.group()):
            found.append((start, Intent("min_price", amount=round(value * (1 - AROUND), 2))))
            found.append((start, Intent("max_price", amount=round(value * (1 + AROUND), 2))))
        else:
            found.append((start, Intent("min_price" if least else "max_price", amount=value)))
    return found


def _is_range(
    reading: MessageReading,
    phrases: IntentPhrases,
    before: str,
    first: re.Match[str],
    second: re.Match[str],
) -> bool:
    joined = reading.text[first.end() : second.start()].strip().lower()
    if joined in ("-", "\u2013", "\u2014"):
        marked = any(m["before"] or m["behind"] for m in (first, second))
        return marked or _last(phrases.pattern("between"), before) is not None
    return joined in ("and", "to") and _last(phrases.pattern("between"), before) is not None


def _start_of_cue(pattern: re.Pattern[str], before: str, match: re.Match[str]) -> int:
    cue = _last(pattern, before)
    return match.start() if cue is None else match.start() - (len(before) - cue.start())


def _last(pattern: re.Pattern[str], before: str) -> re.Match[str] | None:
    """The cue that stands right before, but for blanks."""
    ends = len(before.rstrip())
    return next((m for m in pattern.finditer(before) if m.end() == ends), None)


def _number(text: str, phrases: IntentPhrases) -> float:
    word = " ".join(text.casefold().split())
    if word in phrases.numbers:
        return phrases.numbers[word]
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))
