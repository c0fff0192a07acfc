"""`found erase`: through the server that runs on the work directory, which owns the index, else here."""

from typing import Any
from urllib.parse import quote

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving import running
from serving.erasure.receipt import dumps, printed


def show_erasure(settings: Settings, user_id: str, *, as_document: bool) -> str:
    """Erases the user and tells what was done."""
    told = erased(settings, user_id)
    return dumps(told) if as_document else printed(told)


def erased(settings: Settings, user_id: str) -> dict[str, Any]:
    settings.require("workdir")
    if not settings.work.root.is_dir():
        raise FoundError(f"there is no work directory {settings.work.root}: nothing was erased. Name it by --workdir.")
    if server := running.server_of(settings.work):
        key = settings.admin_key or settings.api_key
        return running.delete(f"{server}/v1/users/{quote(user_id, safe='')}", key=key)
    # Imported late: a running server needs none of it here.
    from serving.erasure.erase import erase
    from serving.index import open_index

    if not settings.milvus_uri and not settings.work.milvus_lite.exists():
        return erase(settings, None, user_id).document()
    with open_index(settings) as index:
        return erase(settings, index, user_id).document()
