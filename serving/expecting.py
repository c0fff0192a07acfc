"""How many users of an index will do what a sentence says, by the model's probabilities."""

import numpy as np
from numpy.typing import NDArray

from model.calibration.line import Line
from model.calibration.size import Expected, expected
from model.scores import inner_products
from serving.audience import Demand
from serving.meeting import Meeting
from serving.remembered import Users


def of_everybody(scores: NDArray[np.float64], read: Demand, meeting: Meeting) -> Expected | None:
    """From nearly the scores of all users for the demand as it was read, before it was calibrated; None where the model
    is not calibrated."""
    (demand,) = meeting.demands
    if demand.spread is None:
        return None
    line = line_between(read, demand)
    return expected(meeting.model.probabilities(line.bias + line.slope * scores), len(scores), demand.spread)


def of_sample(usual: Users, users: int, meeting: Meeting) -> Expected | None:
    """From the final scores of some of so many users."""
    (demand,) = meeting.demands
    if demand.spread is None or not usual.names:
        return None
    products = inner_products(usual.vectors, demand.vector)
    scores = usual.histories.scores(meeting.asked(0, usual.histories), products)
    return expected(meeting.model.probabilities(scores), users, demand.spread)


def line_between(before: Demand, after: Demand) -> Line:
    """The line by which a demand was moved (model.vectors.Demand.moved)."""
    if after is before:
        return Line()
    slope = after.late_weight / before.late_weight
    return Line(float(after.vector[-1]) - slope * float(before.vector[-1]), slope)
