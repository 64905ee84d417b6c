"""Endpoints that refuse as OpenRouter and as Ollama do, where they differ from OpenAI."""

from windsock.demo.endpoint import LlmEndpoint, Refusal

OPENROUTER_MODELS = (
    "anthropic/claude-3-haiku",
    "anthropic/claude-3-opus",
    "anthropic/claude-3.5-sonnet",
    "deepseek/deepseek-chat",
    "google/gemini-flash-1.5",
    "google/gemma-7b-it",
    "mistralai/mistral-7b-instruct",
)
OPENROUTER_KEY = "sk-or-loopback"
DOLLARS_A_TOKEN = 0.000001


def openrouter() -> LlmEndpoint:
    """Make an endpoint with OpenRouter's names for models; it wants `OPENROUTER_KEY`."""
    embeddings = {"openai/text-embedding-3-small": 1536, "openai/text-embedding-3-large": 3072}
    return LlmEndpoint(
        OPENROUTER_MODELS,
        embeddings,
        _not_of_openrouter,
        OPENROUTER_KEY,
        dollars_a_token=DOLLARS_A_TOKEN,
    )


def ollama(*models: str) -> LlmEndpoint:
    """Make an endpoint that has pulled these models."""
    return LlmEndpoint(models, {}, _not_of_ollama)


def _not_of_openrouter(model: str) -> Refusal:
    return 400, {"error": {"message": f"{model} is not a valid model ID", "code": 400}}


def _not_of_ollama(model: str) -> Refusal:
    message = f"model {model!r} not found"
    return 404, {"error": {"message": message, "type": "not_found_error", "param": None, "code": None}}
