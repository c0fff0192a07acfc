"""Files of a lake that people write."""

from pathlib import Path
from typing import Any

import yaml

from feature_repo.contracts.errors import FoundError


def read_yaml(path: Path) -> Any:
    """What the file says. Raises FoundError for one that is no YAML in UTF-8."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise FoundError(f"{path} is not valid YAML in UTF-8: {error}.") from error
