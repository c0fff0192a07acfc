"""What keeps a request, or a server, from going on; see serving/errors.py."""

from collections.abc import Mapping

from serving.errors import ServingError


class _WithHeaders(ServingError):
    """An error whose answer carries headers of its own."""

    def __init__(self, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}


class Unauthorized(_WithHeaders):
    status = 401
    code = "unauthorized"
    hint = "Send a key as `Authorization: Bearer KEY`; `found keys create` makes one, and shows it once."

    def __init__(self, detail: str, *, invalid: bool = False) -> None:
        told = ', error="invalid_token"' if invalid else ""
        super().__init__(detail, WWW_Authenticate=f'Bearer realm="found"{told}')


class Forbidden(_WithHeaders):
    status = 403
    code = "forbidden"
    hint = "Ask with a key of that role; `found keys list` shows the keys that there are."

    def __init__(self, detail: str, *, role: str) -> None:
        super().__init__(detail, WWW_Authenticate=f'Bearer realm="found", error="insufficient_scope", scope="{role}"')


class OtherHost(ServingError):
    status = 421
    code = "other_host"
    hint = 'Ask by http://127.0.0.1, or set require_keys = "always" and send a key.'


class RateLimited(_WithHeaders):
    status = 429
    code = "rate_limited"
    hint = "Wait as long as Retry-After says; requests_per_minute and request_burst are the server's settings."

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail, Retry_After=str(seconds))


class ServerBusy(_WithHeaders):
    status = 429
    code = "server_busy"
    hint = "Wait as long as Retry-After says; queue_size of the server's settings says how many may wait."

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail, Retry_After=str(seconds))


class BodyTooLarge(ServingError):
    status = 413
    code = "body_too_large"
    hint = "Send fewer users or filters at once; lists of users that are always left out belong into suppressed_users."


class KeysMissing(ServingError):
    status = 503
    code = "keys_missing"
    hint = "Make a key with `found keys create --role admin`, set FOUND_ADMIN_KEY, or serve on 127.0.0.1."


class ServedAlready(ServingError):
    status = 409
    code = "served_already"
    hint = "Stop it, or give this one a work directory of its own."


class InvalidAccess(ServingError):
    status = 422
    code = "invalid_access"
    hint = "docs/access.md shows the settings, the file of tenants and the commands."


class KeyUnknown(ServingError):
    status = 404
    code = "key_not_found"
    hint = "`found keys list` shows the keys that there are."


ACCESS_ERRORS: tuple[type[ServingError], ...] = (Unauthorized, Forbidden, RateLimited, ServerBusy, BodyTooLarge)
"""What any guarded route may answer."""
