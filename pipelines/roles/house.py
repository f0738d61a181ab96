"""The broadcaster of a recording, as it names itself: "Welcome to DW", "you're watching World Report"."""

from __future__ import annotations

from pipelines.roles.conversation import Conversation
from pipelines.roles.passages import Passage, plain_form
from pipelines.roles.phrases import Phrases
from pipelines.roles.slots import Slot
from pipelines.types import join_words


def add_house(phrases: Phrases, conversation: Conversation) -> Phrases:
    """The table with the recording's own broadcaster: "World Report's Jane Doe" is a reporter then."""
    found = {
        name
        for passage in conversation.passages
        if passage.is_cased
        for _, last in passage.find(phrases.house)
        if (name := _name_at(passage, phrases, last))
    }
    return phrases.with_broadcasters(found)


def _name_at(passage: Passage, phrases: Phrases, first: int) -> str:
    """The capitalised words from `first` on, in plain form."""
    while first < len(passage.words) and passage.words[first].plain in phrases.articles:
        first += 1
    last = Slot(passage, phrases, first, len(passage.words)).organisation_run(first)
    return join_words([plain_form(word.bare) for word in passage.words[first:last]])
