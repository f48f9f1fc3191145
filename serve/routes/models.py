"""Which models there are, and their tokens: `/v1/models`, `/tokenize`, `/detokenize`, `/tokenizer_info`."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from base.errors import RalmError
from lm.reader import Reader, VocabularyReader
from serve.routes.asked import answerer_of, require_model
from serve.schemas.tokens import DetokenizeReply, DetokenizeRequest, TokenizeReply, TokenizeRequest

router = APIRouter()


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The names a chat request may ask for, as OpenAI's API lists them."""
    return {"object": "list", "data": [_model(one) for one in ("ralm", answerer_of(request).reader.name)]}


@router.get("/v1/models/{model:path}")
async def model(model: str, request: Request) -> dict[str, Any]:
    """One of them."""
    require_model(model, answerer_of(request).reader)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "ralm"}


def _shown(reader: Reader) -> VocabularyReader:
    """A reader that shows its tokens. Raises RalmError for another one."""
    if not isinstance(reader, VocabularyReader):
        raise RalmError(
            f"The reader {reader.name} does not show its tokens here: ask the server that it runs on, or "
            "take a reader in this process."
        )
    return reader


@router.post("/tokenize")
async def tokenize(body: TokenizeRequest, request: Request) -> TokenizeReply:
    """The reader's tokens of a text, or of a chat."""
    reader = answerer_of(request).reader
    require_model(body.model, reader)
    shown = _shown(reader)

    def tokens() -> tuple[int, ...]:
        plain = body.prompt is not None and not body.add_special_tokens
        return shown.tokens(body.prompt or "") if plain else shown.ids(body.as_prompt)

    found = await run_in_threadpool(tokens)
    return TokenizeReply(
        count=len(found),
        max_model_len=reader.context_tokens,
        tokens=list(found),
        token_strs=[shown.said([one]) for one in found] if body.return_token_strs else None,
    )


@router.post("/detokenize")
async def detokenize(body: DetokenizeRequest, request: Request) -> DetokenizeReply:
    """The text of some of the reader's tokens."""
    reader = answerer_of(request).reader
    require_model(body.model, reader)
    return DetokenizeReply(prompt=await run_in_threadpool(_shown(reader).said, body.tokens))


@router.get("/tokenizer_info")
async def tokenizer_info(request: Request) -> dict[str, Any]:
    """What the reader's tokenizer is."""
    reader = answerer_of(request).reader
    return {**_shown(reader).vocabulary(), "max_model_len": reader.context_tokens}
