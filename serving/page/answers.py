"""What the routes of the page say."""

from typing import Annotated

from pydantic import Field

from serving.answers import Response, Versions

Place = Annotated[list[float], Field(min_length=2, max_length=2, description="x and y; the sample lies within [-1, 1]")]


class ExampleMessage(Response):
    text: str
    origin: str = Field(description="where the sentence comes from")


class ColumnMessage(Response):
    name: str
    kind: str = Field(description="number, category or days (since something happened)")
    values: list[str] = Field(description="those of a category, where they are few")


class ExamplesMessage(Versions):
    demands: list[ExampleMessage]
    columns: list[ColumnMessage] = Field(description="what can be filtered by")
    users: int = Field(description="how many users the index holds")
    horizon_days: int = Field(description="probabilities are for so many days from ds on; 0 is not known")
    currency: str


class MapMessage(Versions):
    points: list[Place] = Field(description="where a random sample of the users lies")
    explained: float = Field(
        description="the share of what users differ by, beside how active they are, that the map shows"
    )
    users: int = Field(description="how many users the index holds")


class LitMessage(Versions):
    points: list[Place] = Field(description="where the first members lie, best first, without their ids")
    size: int = Field(description="how many members the audience has")
