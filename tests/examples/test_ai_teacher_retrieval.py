"""The AI Teacher's retrieval finds what belongs to a question, and as much of it as the settings say."""

import pytest
from app.core.config import Settings
from app.services.retrieval_pipeline import RetrievalPipeline


@pytest.fixture
def pipeline():
    pipeline = RetrievalPipeline()
    yield pipeline
    pipeline.close()


def titles(pipeline, question, **values):
    return [passage.title for passage in pipeline.retrieve(question, Settings(**values)).best]


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Why is the sky blue?", "Blue sky"),
        ("What makes leaves green?", "Chlorophyll"),
        ("How do the tides rise?", "Tides"),
        ("Which gas do plants make?", "Photosynthesis"),
    ],
)
def test_the_first_passage_is_about_the_question(pipeline, question, title):
    assert titles(pipeline, question)[0] == title


def test_top_k_bounds_the_search_and_rerank_n_what_is_read(pipeline):
    retrieved = pipeline.retrieve("Why is the sky blue?", Settings(retrieval_top_k=7, rerank_top_n=2))
    assert (retrieved.found, len(retrieved.best)) == (7, 2)


def test_more_candidates_bring_up_a_better_passage_by_the_reranking(pipeline):
    question = "Why does the pull of the moon make the sea rise?"
    assert titles(pipeline, question, retrieval_top_k=1) == ["Pressure"]
    assert titles(pipeline, question, retrieval_top_k=25)[:2] == ["Tides", "Pressure"]


@pytest.mark.parametrize("question", ["", "???", '" OR 1=1 --', "NEAR(sky blue)", "title:*"])
def test_a_question_is_words_and_never_a_query(pipeline, question):
    assert pipeline.retrieve(question, Settings()).found <= 10
