"""Every setting, read once: built-in default < settings file (TOML) < environment (FOUND_*) < argument."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Lengths
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.windows import Windows

SETTINGS_FILE = "found.toml"
PREFIX = "FOUND_"
_OF_MODEL = (
    *("lake", "workdir", "cutoffs", "history_days", "horizon_days", "gap_days"),
    *("max_events", "max_searches", "max_future", "max_pairs"),
    *("recipe", "encoder", "language_model", "vector_size", "seed"),
)


ENGLISH = "en"


@dataclass(frozen=True)
class Settings:
    """One flat set of settings; an empty string means 'not set'. FOUND_SETTINGS names another file."""

    lake: str = ""
    workdir: str = ""
    cutoffs: str = ""
    history_days: int = 730
    horizon_days: int = 0
    gap_days: int = 0
    max_events: int = 128
    max_searches: int = 32
    max_future: int = 128
    max_pairs: int = 80_000
    recipe: str = "found_default"
    encoder: str = ""
    language_model: str = ""
    vector_size: int = 0
    seed: int = 0
    spark_master: str = "local[2]"
    online_store: str = "sqlite"
    redis: str = "localhost:6379"
    milvus_uri: str = ""
    milvus_token: str = ""
    milvus_database: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    admin_key: str = ""
    api_key: str = ""
    require_keys: str = "auto"
    tenants: str = ""
    requests_per_minute: int = 600
    request_burst: int = 60
    queue_size: int = 32
    mlflow_uri: str = ""
    export_hosts: str = ""
    export_networks: str = ""
    export_secret: str = ""
    demand_language: str = ENGLISH
    denied_fields: str = (
        "race, ethnicity, religion, political_opinion, trade_union, health, disability, sexual_orientation"
    )
    default_filters: str = ""
    suppressed_users: str = ""
    minimum_audience: int = 20
    log_format: str = "text"
    otlp_endpoint: str = ""
    grace_seconds: int = 30
    memory_mb: int = 512

    @property
    def lengths(self) -> Lengths:
        return Lengths(events=self.max_events, searches=self.max_searches, future=self.max_future)

    @property
    def windows(self) -> Windows:
        self.require("horizon_days")
        return Windows(self.history_days, self.horizon_days, self.gap_days)

    @property
    def work(self) -> Workdir:
        self.require("workdir")
        return Workdir(Path(self.workdir).absolute())

    def names(self, setting: str) -> tuple[str, ...]:
        """The names that a setting lists between commas."""
        return tuple(name.strip() for name in str(getattr(self, setting)).split(",") if name.strip())

    def of_model(self) -> dict[str, Any]:
        """The settings that a trained model and its embeddings of a day depend on."""
        return {name: getattr(self, name) for name in _OF_MODEL}

    def require(self, *names: str) -> None:
        """Raises one FoundError that names each of `names` that is not set, and all ways to set it."""
        if missing := [name for name in names if not getattr(self, name)]:
            ways = "; ".join(f"--{n.replace('_', '-')} or {PREFIX}{n.upper()}" for n in missing)
            raise FoundError(f"missing settings: {', '.join(missing)}. Give {ways}; or write them in {SETTINGS_FILE}.")

    def with_arguments(self, arguments: Mapping[str, Any]) -> "Settings":
        """These settings, replaced by the arguments that were given (not None) and are settings."""
        known = {f.name for f in fields(self)}
        return replace(self, **{k: v for k, v in arguments.items() if k in known and v is not None})

    def environment(self) -> dict[str, str]:
        """The FOUND_* variables that hand these settings to another process."""
        return {PREFIX + f.name.upper(): str(getattr(self, f.name)) for f in fields(self)}


def read_settings(environ: Mapping[str, str], cwd: Path) -> Settings:
    """The settings of this process. Raises FoundError for an unknown key or a wrong type."""
    path = Path(environ.get(PREFIX + "SETTINGS") or cwd / SETTINGS_FILE)
    given: dict[str, Any] = {}
    if path.exists():
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FoundError(f"{path} is not valid TOML: {error}.") from error
    elif environ.get(PREFIX + "SETTINGS"):
        raise FoundError(f"the settings file {path} named by {PREFIX}SETTINGS does not exist.")
    kinds = {f.name: f.type for f in fields(Settings)}
    if unknown := sorted(set(given) - set(kinds)):
        raise FoundError(f"{path} has unknown settings {unknown}; known are {sorted(kinds)}.")
    for name in kinds:
        if value := environ.get(PREFIX + name.upper()):
            given[name] = value
    return Settings(**{name: typed(name, value) for name, value in given.items()})


def typed(name: str, value: Any) -> Any:
    """The value of a setting as its kind. Raises FoundError for one of another kind."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise FoundError(f"{name} must be text (several values with commas between) or a number, found {value!r}.")
    if Settings.__dataclass_fields__[name].type is not int:
        return str(value)
    if (isinstance(value, str) and not re.fullmatch(r"\s*\d+\s*", value)) or int(value) < 0:
        raise FoundError(f"{name} must be a whole number of 0 or more, found {value!r}.")
    return int(value)
