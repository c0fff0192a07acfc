"""The scenarios of a synthetic lake: which intent, asked for in which words, as of which day, how far ahead."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from spark_jobs.synthetic.people import LAPSE
from spark_jobs.synthetic.world import ENDS


@dataclass(frozen=True)
class Task:
    """One intent to be found, in several wordings that share cut-off, horizon and labels."""

    intent: str
    cutoff: date
    horizon_days: int
    demands: tuple[str, ...]
    domain: str = "marketing"

    @property
    def start(self) -> datetime:
        return datetime(self.cutoff.year, self.cutoff.month, self.cutoff.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=self.horizon_days)

    @property
    def label_rule(self) -> str:
        if self.intent == LAPSE:
            return "bought lately, has left for good by the end of the window and buys nothing in it"
        return f"a successful purchase in the window that the user's own intent {self.intent!r} causes"

    @property
    def scenario_ids(self) -> tuple[str, ...]:
        return tuple(f"{self.intent}_{number}" for number in range(1, len(self.demands) + 1))


SUMMER, SUMMER_DAYS = (ENDS - timedelta(days=60)).date(), 60
ADVENT, ADVENT_DAYS = date(2023, 11, 25), 30

_SUMMER: Mapping[str, tuple[str, ...]] = {
    "new_baby": (
        "Young parents who will need things for their newborn",
        "Households expecting a child",
        "Customers who are going to buy nappies, baby food or a pram",
    ),
    "moving_home": (
        "People who are about to move into a new home",
        "Customers who will buy moving boxes or new furniture",
        "Users changing their flat this summer",
    ),
    "trip_abroad": (
        "Travellers who will book flights and hotels",
        "People planning a holiday abroad",
        "Users who are going to take a trip to another country this summer",
    ),
    "new_pet": (
        "New dog and cat owners",
        "People who will buy pet food and supplies",
        "Households with a puppy or a kitten",
    ),
    "new_car": (
        "Drivers who will buy a car or things for their new car",
        "Customers in the market for another vehicle",
        "Users who need car insurance and tyres after buying a car",
    ),
    "wedding": (
        "Couples who are going to get married",
        "People paying for wedding dresses, rings or a venue",
        "Brides and grooms preparing the big day",
    ),
    "photography": (
        "Hobby photographers who will spend on cameras and prints",
        "People who have taken up photography",
        "Customers likely to buy lenses, tripods or photo books",
    ),
    "renovation": (
        "Home owners renovating a bathroom or a kitchen",
        "Customers who will buy tiles, paint and flooring",
        "People doing up their house this summer",
    ),
    "new_job": (
        "People starting a new job",
        "Customers who will buy business clothes or equip a home office",
        "Users changing their employer",
    ),
    "language_learning": (
        "People learning a foreign language",
        "Customers who will pay for language lessons or exams",
        "Users who want to speak another language",
    ),
    "picnic": (
        "Families who will plan a picnic this summer",
        "Customers who will buy picnic blankets, cool boxes or grills",
        "People eating outdoors in the park",
    ),
    "gardening": (
        "Hobby gardeners who will buy plants and tools",
        "People working in their garden this summer",
        "Customers likely to spend on compost, seedlings or hoses",
    ),
    "swimming": (
        "People going to the beach or the pool",
        "Customers who will buy swimwear and sunscreen",
        "Users getting ready for bathing days",
    ),
    "fitness": (
        "Sporty customers who will buy training gear",
        "People who work out regularly",
        "Users likely to pay for gym passes or running shoes",
    ),
    "gaming": (
        "Gamers who will buy a new title or controller",
        "People who play video games",
        "Customers spending on consoles and game credit",
    ),
    "music": (
        "Music lovers who will buy concert tickets or records",
        "Visitors of this summer's festivals",
        "People who go to live shows",
    ),
}
_ADVENT: Mapping[str, tuple[str, ...]] = {
    "gifts": (
        "Customers shopping for Christmas presents",
        "People who will buy gifts and decorations in December",
        "Households preparing for the holidays",
    ),
    "winter_sports": (
        "Skiers and snowboarders getting ready for the season",
        "Customers who will buy ski passes or winter sports gear",
        "People going to the snow",
    ),
}
_LAPSE = (
    "Customers who will stop buying",
    "Users about to leave us for good",
    "Accounts that will do nothing in the next two months",
)

TASKS = (
    *(Task(intent, SUMMER, SUMMER_DAYS, demands) for intent, demands in _SUMMER.items()),
    Task(LAPSE, SUMMER, SUMMER_DAYS, _LAPSE, domain="risk"),
    *(Task(intent, ADVENT, ADVENT_DAYS, demands) for intent, demands in _ADVENT.items()),
)
