"""The loopback endpoint, spoken to by the real openai client."""

import httpx
import openai
import pytest
from examples.vendors import OPENROUTER_KEY, ollama, openrouter

from windsock.demo.endpoint import LlmEndpoint, Served


@pytest.fixture
def endpoint():
    with LlmEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def client(endpoint):
    with openai.OpenAI(base_url=endpoint.url, api_key="none", max_retries=0, timeout=10) as client:
        yield client


def ask(client, model="gpt-4o", temperature=0.2):
    messages = [{"role": "user", "content": "why is the sky blue"}]
    return client.chat.completions.create(model=model, temperature=temperature, messages=messages)


def test_it_answers_with_the_model_that_was_asked(client, endpoint):
    answer = ask(client)
    assert answer.model == "gpt-4o"
    assert "why is the sky blue" in answer.choices[0].message.content
    assert answer.usage.prompt_tokens == 5
    messages = [{"role": "user", "content": "why is the sky blue"}]
    request = {"model": "gpt-4o", "temperature": 0.2, "messages": messages}
    assert endpoint.served == [Served("gpt-4o", 200, request)]


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="gpt-4oo")
    assert caught.value.code == "model_not_found"
    assert "gpt-4oo" in caught.value.message


@pytest.mark.parametrize(("temperature", "code"), [(2.5, "above_max"), (-1, "below_min")])
def test_a_temperature_out_of_range_names_its_parameter(client, temperature, code):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, temperature=temperature)
    assert caught.value.param == "temperature"
    assert code in caught.value.code


def test_an_outage_is_a_server_error(client, endpoint):
    endpoint.down = True
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.status_code == 503


def test_embeddings_of_shared_words_are_alike(client):
    vectors = [
        client.embeddings.create(model="text-embedding-3-small", input=text, dimensions=256).data[0].embedding
        for text in ("the dog is called Rex", "what is the dog called", "green tea")
    ]
    assert {len(vector) for vector in vectors} == {256}
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert near > 0.5 > far


@pytest.mark.parametrize("dimensions", [0, 1537])
def test_dimensions_that_the_model_does_not_have_name_their_parameter(client, dimensions):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="dog", dimensions=dimensions)
    assert caught.value.param == "dimensions"


def test_an_unknown_embedding_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="gpt-4o", input="dog")


def test_a_wrong_key_is_refused_where_one_is_asked_for(client, endpoint):
    endpoint.api_key = "another"
    with pytest.raises(openai.AuthenticationError):
        ask(client)


@pytest.mark.parametrize(
    ("vendor", "error", "text"),
    [
        (openrouter, openai.BadRequestError, "not a valid model ID"),
        (ollama, openai.NotFoundError, "not found"),
    ],
)
def test_vendors_refuse_an_unknown_model_in_their_own_words(vendor, error, text):
    with (
        vendor() as endpoint,
        openai.OpenAI(base_url=endpoint.url, api_key=OPENROUTER_KEY) as client,
        pytest.raises(error, match=text),
    ):
        ask(client, model="no/such")


def test_it_lists_its_models(client):
    assert [model.id for model in client.models.list()] == ["gpt-4o", "gpt-4o-mini"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model":"gpt-4o"}'])
def test_a_body_that_is_not_a_request_is_a_400(endpoint, body):
    answer = httpx.post(f"{endpoint.url}/chat/completions", content=body, timeout=10)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["message"]


def test_it_listens_on_loopback_and_only_inside_its_block():
    with LlmEndpoint() as endpoint:
        url = endpoint.url
        assert url.startswith("http://127.0.0.1:")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models", timeout=5)
