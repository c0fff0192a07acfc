"""What measures the grammar, and was written without it."""

from model.rewriting.phrasings.form import Phrasings

NEWEST = Phrasings(
    openings=(
        "{people} who",
        "Show me {people} who",
        "I'm looking for {people} who",
        "Please export all {people} that",
        "We want to run a campaign for {people} who",
        "Which of our {people}",
    ),
    people=("customers", "users", "shoppers", "people", "loyalty members", "site visitors"),
    women=("women", "female members"),
    men=("men", "male members"),
    places=("from {}", "who reside in {}", "in the {} area", "living in or around {}"),
    ages={
        ">": ("over {n}", "over {n} years of age", "with an age above {n}"),
        "<": ("under {n}", "under {n} years of age", "who are younger than {n}"),
        "between": ("between {n} and {m}", "aged between {n} and {m}", "in the {n}-{m} age range"),
    },
    categories=("with a {column} of {value}", "from the {value} {column}"),
    verbs={
        ("bills", "will"): (
            "will buy {}",
            "are likely to purchase {}",
            "are planning to buy {}",
            "will end up ordering {}",
        ),
        ("bills", "will not"): ("won't buy {}", "are not likely to order {}", "are not planning to buy {}"),
        ("bills", "did"): ("purchased {}", "have bought {}", "placed orders for {}", "stocked up on {}"),
        ("bills", "did not"): (
            "didn't order {}",
            "have not purchased {}",
            "never bought {}",
            "did not place any orders for {}",
        ),
        ("searches", "will"): ("will search for {}", "are going to look up {}", "will probably search for {}"),
        ("searches", "will not"): ("will not be searching for {}", "are not likely to look for {}"),
        ("searches", "did"): (
            "searched for {}",
            "have been looking up {}",
            "performed a search for {}",
            "used the search bar to look for {}",
        ),
        ("searches", "did not"): (
            "didn't look for {}",
            "have not searched for {}",
            "never looked up {}",
            "did not perform a search for {}",
        ),
        ("visits", "will"): ("will look at {}", "are likely to visit {}", "will visit the product page for {}"),
        ("visits", "will not"): ("won't look at {}", "are not likely to view {}"),
        ("visits", "did"): ("visited {}", "have viewed {}", "browsed {}", "went to the product page for {}"),
        ("visits", "did not"): (
            "didn't visit {}",
            "have not looked at {}",
            "never browsed {}",
            "did not go to the product page for {}",
        ),
        ("clicks", "will"): ("will click on {}", "are likely to click through to {}"),
        ("clicks", "will not"): ("won't be clicking on {}", "are not likely to click {}"),
        ("clicks", "did"): (
            "clicked on {}",
            "have tapped on {}",
            "clicked on a link to {}",
            "have been clicking through to {}",
        ),
        ("clicks", "did not"): (
            "didn't click on {}",
            "have not clicked {}",
            "never tapped on {}",
            "did not click on any links to {}",
        ),
        ("", "will"): ("are interested in {}", "would be interested in {}", "really like {}", "are big fans of {}"),
        ("", "will not"): ("don't like {}", "wouldn't be interested in {}", "have no need for {}"),
    },
    spending={
        "will": ("will spend {amount} on {}", "are likely to spend {amount} on {}"),
        "will not": ("won't be spending {amount} on {}", "are not likely to spend {amount} on {}"),
        "did": ("spent {amount} on {}", "have spent {amount} on {}", "bought {} worth {amount}"),
        "did not": ("did not spend {amount} on {}", "never spent {amount} on {}"),
    },
    something=("something", "anything", "one or more items"),
    not_anything=("anything", "any item", "a single product"),
    channels=("via {}", "using {}", "through the {} channel"),
    last=(
        "within the last {n} {unit}",
        "in the previous {n} {unit}",
        "at any time in the past {n} {unit}",
        "in the {n} {unit} before today",
    ),
    coming=("in the next {n} {unit}", "during the coming {n} {unit}", "at some point in the next {n} {unit}"),
    since=("since {}", "from {} until now", "no earlier than {}"),
    counts={
        ">": ("more than {n} times", "more than {n} separate times"),
        ">=": ("at least {n} times", "{n} times or more", "{n} times at a minimum"),
        "<": ("fewer than {n} times", "fewer than {n} times in total"),
        "=": ("exactly {n} times", "a total of {n} times"),
    },
    amounts={
        ">": ("more than {n} {currency}", "over {n} {currency}", "a total of more than {currency} {n}"),
        ">=": ("at least {n} {currency}", "{n} {currency} or over", "a total of at least {currency} {n}"),
        "<": ("less than {n} {currency}", "a total of less than {n} {currency}"),
    },
    both=("and", "and who"),
    either=("or", "and/or"),
    contrast=("but", "but still", "while they"),
)

HELD_OUT = (NEWEST,)
