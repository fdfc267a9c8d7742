"""From lists of histories, queries or conversations to requests, by the policies for ids and numbers.

Does not know how a request is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genrec.errors import DataError
from genrec.recommender.chat_session import check_messages
from genrec.recommender.conversation import Conversation
from genrec.recommender.filters import Filters
from genrec.recommender.recommendations import Unknown, checked_ids, checked_query, known_items
from genrec.recommender.shortlisting import Request


def batch_requests(
    conversation: Conversation,
    histories: Sequence[Sequence[str]] | None,
    k: int,
    *,
    queries: Sequence[str] | None,
    messages: Sequence[Sequence[Mapping[str, Any]]] | None,
    filters: Filters,
    exclude: Sequence[str],
    exclude_history: bool,
    exact: bool,
    unknown: Unknown,
) -> list[Request]:
    """One request for each entry; arguments and errors as in `GenerativeRecommender.recommend_batch`."""
    if isinstance(queries, str):
        raise DataError("queries are a list of texts", received=repr(queries)[:200], remedy="pass [query]")
    given = [list(part) for part in (histories, queries, messages) if part is not None]
    if len({len(part) for part in given}) != 1:
        raise DataError(
            "a batch needs one history, query or conversation a request",
            received=f"lists of {', '.join(str(len(part)) for part in given) or 'nothing'}",
            remedy="pass lists of one length",
        )
    if queries is not None and messages is not None:
        raise DataError(
            "a query and a conversation were given",
            received="queries and messages",
            remedy="put the query into the last message",
        )
    checked_ids(exclude, "what to exclude")
    requests = []
    for i in range(len(given[0])):
        asked = histories[i] if histories is not None else ()
        known = tuple(known_items(conversation.catalog, asked, unknown))
        if messages is not None:
            check_messages(messages[i])
            state, _ = conversation.replayed(messages[i], known, filters)
            left_out = state.left_out
            if not exclude_history:  # but what is not wanted stays out, in the history or not
                left_out -= set(known) - {*state.dislikes, *state.skipped}
            request = conversation.request(state, k, exact=exact)
            requests.append(replace(request, exclude=left_out | set(exclude)))
            continue
        left_out = frozenset([*exclude, *(known if exclude_history else ())])
        query = checked_query(queries[i]) if queries is not None else ""
        requests.append(Request(known, query, (), filters, left_out, k, exact))
    return requests
