"""A limit to what is read of a request, whatever it says of its own length."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.errors import BodyTooLarge

MOST_BYTES = 12 << 20
"""Above what a file of seeds may have, whose own error says more."""


class Limited:
    """Runs an app whose request has at most MOST_BYTES. Raises BodyTooLarge, before anything was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _refuse(_declared(scope))
        read, answered = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            _refuse(read)
            return message

        async def unless_refused(message: Message) -> None:
            """The app may take the refusal for a fault of its own: what it then says is not passed on."""
            nonlocal answered
            if answered or read <= MOST_BYTES:
                answered = True
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        finally:
            if not answered:
                _refuse(read)


def _declared(scope: Scope) -> int:
    told = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() else 0


def _refuse(size: int) -> None:
    if size > MOST_BYTES:
        raise BodyTooLarge(f"a request has at most {MOST_BYTES >> 20} MiB, this one has more.")
