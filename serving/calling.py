"""Calls of the API for a client: sent again where that is safe, errors as FoundApiError."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

AGAIN = frozenset((429, 503))
MOST_PAUSE_SECONDS = 30.0


class FoundApiError(Exception):
    """What the API refused, or could not do. `code` is stable, `hint` says what to do; `request_id` finds the log line.

    Where no answer came at all, status is 0 and the code "no_answer".
    """

    def __init__(self, *, status: int, code: str, detail: str, hint: str, request_id: str = "") -> None:
        super().__init__(f"{code} ({status}): {detail} {hint}".rstrip())
        self.status, self.code, self.detail, self.hint, self.request_id = status, code, detail, hint, request_id


@dataclass(frozen=True)
class Caller:
    """One server. A call that may be repeated is sent up to `retries` more times after a 429, a 503 or no answer, with
    growing pauses from `pause` seconds on (half of them chance), or as long as `Retry-After` says."""

    http: httpx.Client
    retries: int
    pause: float

    def read(self, message: type[M], method: str, path: str, *, repeatable: bool = True, **given: Any) -> M:
        """The answer as such a message. Raises FoundApiError."""
        with self.answer(method, path, repeatable=repeatable, **given) as answer:
            return message.model_validate_json(answer.read())

    @contextmanager
    def answer(self, method: str, path: str, *, repeatable: bool = True, **given: Any) -> Iterator[httpx.Response]:
        """A successful answer whose body is not read yet. Raises FoundApiError, also for a body that breaks off or that
        whoever reads it cannot make sense of (ValueError, TypeError)."""
        answer = self._sent(method, path, self.retries if repeatable else 0, given)
        try:
            yield answer
        except httpx.HTTPError as error:
            raise _no_answer(error) from error
        except (ValueError, TypeError) as error:
            raise _strange(answer) from error
        finally:
            answer.close()

    def _sent(self, method: str, path: str, retries: int, given: Mapping[str, Any]) -> httpx.Response:
        for attempt in range(retries + 1):
            last = attempt == retries
            try:
                answer = self.http.send(self.http.build_request(method, path, **given), stream=True)
                if not answer.is_success:
                    answer.read()
            except httpx.TransportError as error:
                if last:
                    raise _no_answer(error) from error
                self._wait(attempt, None)
                continue
            if answer.is_success:
                return answer
            if last or answer.status_code not in AGAIN:
                raise _refused(answer)
            self._wait(attempt, answer.headers.get("Retry-After"))
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, attempt: int, told: str | None) -> None:
        grown = min(MOST_PAUSE_SECONDS, self.pause * 2**attempt)
        chosen = grown * (0.5 + random.random() / 2)
        asked = float(told) if told and told.isdecimal() else 0.0
        time.sleep(max(min(asked, MOST_PAUSE_SECONDS), chosen))


def _no_answer(error: httpx.HTTPError) -> FoundApiError:
    return FoundApiError(
        status=0,
        code="no_answer",
        detail=f"no answer came: {type(error).__name__}.",
        hint="Check the address, and that the server runs.",
    )


def _refused(answer: httpx.Response) -> FoundApiError:
    try:
        told = answer.json()
        return FoundApiError(code=told["code"], detail=told["detail"], hint=told["hint"], **_named(answer))
    except (ValueError, KeyError, TypeError):
        return _strange(answer)


def _strange(answer: httpx.Response) -> FoundApiError:
    detail = "the answer is none of FOUND."
    return FoundApiError(code="no_problem", detail=detail, hint="Check the URL.", **_named(answer))


def _named(answer: httpx.Response) -> dict[str, Any]:
    return {"status": answer.status_code, "request_id": answer.headers.get("X-Request-ID", "")}
