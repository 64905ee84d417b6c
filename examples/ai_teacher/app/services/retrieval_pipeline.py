"""Finds what the model should read: a search for `top_k` passages, then a reranking to `rerank_n`."""

import re
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from app.core.config import Settings

CORPUS = Path(__file__).parents[1] / "data/corpus.txt"
_WORD = re.compile(r"\w+")
_SEARCH = "select title, text from passages where passages match ? order by bm25(passages) limit ?"


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph of the corpus."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What one question found: how many passages the search gave, and the best of them."""

    found: int
    best: tuple[Passage, ...]


class RetrievalPipeline:
    """Searches with SQLite's FTS5, in memory: `retrieval_top_k` and `rerank_top_n` decide how much."""

    def __init__(self, corpus: Path = CORPUS) -> None:
        self._lock = threading.Lock()  # one connection for all of the service's threads
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        self._index.execute("create virtual table passages using fts5(title, text, tokenize='porter')")
        lines = (line.split(": ", 1) for line in corpus.read_text(encoding="utf-8").splitlines())
        self._index.executemany("insert into passages values (?, ?)", lines)

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def retrieve(self, query: str, user_settings: Settings) -> Retrieved:
        """Give the passages for a question, best first."""
        top_k, rerank_n = user_settings.retrieval_top_k, user_settings.rerank_top_n
        found = self._search(query, top_k)
        ranked = sorted(found, key=lambda passage: _coverage(query, passage), reverse=True)
        return Retrieved(len(found), tuple(ranked[:rerank_n]))

    def _search(self, query: str, top_k: int) -> list[Passage]:
        words = " OR ".join(f'"{word}"' for word in _WORD.findall(query))
        if not words:
            return []
        with self._lock:
            return [Passage(*row) for row in self._index.execute(_SEARCH, (words, top_k))]


def _coverage(query: str, passage: Passage) -> float:
    """The share of the question's longer words that a passage has; ties keep the order of the search."""
    asked = {word.lower() for word in _WORD.findall(query) if len(word) > 3}
    has = {word.lower() for word in _WORD.findall(f"{passage.title} {passage.text}")}
    return len(asked & has) / len(asked) if asked else 0.0
