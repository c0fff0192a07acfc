"""Every error of the serving layer: a stable code, the facts, the next step.

The API renders them as application/problem+json, entry points as one line.
"""

from typing import ClassVar

from feature_repo.contracts.errors import FoundError


class ServingError(FoundError):
    """Says what was expected and what was found; the class says which HTTP status, code and hint go with it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    hint: ClassVar[str] = "See the server's log."

    def __str__(self) -> str:
        return f"{super().__str__()} {self.hint}"

    @property
    def detail(self) -> str:
        """What happened, without the hint."""
        return super().__str__()


class IndexLocked(ServingError):
    status = 503
    code = "index_locked"
    hint = "One process owns a Milvus Lite folder: stop the other one, or publish and ask through its server."


class IndexUnreachable(ServingError):
    status = 503
    code = "index_unreachable"
    hint = "Check FOUND_MILVUS_URI and FOUND_MILVUS_TOKEN, and that the Milvus server runs."


class IndexMissing(ServingError):
    status = 503
    code = "index_missing"
    hint = "Run the nightly steps first: `found run LAKE --workdir DIR`."


class ModelMissing(ServingError):
    status = 503
    code = "model_missing"
    hint = "Train one with `found run LAKE --workdir DIR`, or copy the model's folder there."


class VersionsDisagree(ServingError):
    status = 503
    code = "versions_disagree"
    hint = "Publish the embeddings of this model (POST /v1/admin/publish) or roll the index back (`found rollback`)."


class PublicationUnreadable(ServingError):
    status = 503
    code = "publication_unreadable"
    hint = "The server's log says where; run the nightly steps of that day again."


class AudienceTooLarge(ServingError):
    status = 422
    code = "audience_too_large"
    hint = "Ask for fewer users; `found export SENTENCE --size N --out FILE` writes any number of those of a sentence."


class AudienceTooSmall(ServingError):
    status = 422
    code = "audience_too_small"
    hint = "Ask for more users, fewer filters or a lower probability; minimum_audience is the server's setting."


class UnknownUsers(ServingError):
    status = 404
    code = "unknown_users"
    hint = "A user gets an embedding in the first nightly run after the first event; check the spelling of the ids."


class NoSeeds(ServingError):
    status = 422
    code = "no_seeds"
    hint = "Give at least one user id that is known to do what the audience shall do."


class ContradictingSeeds(ServingError):
    status = 422
    code = "contradicting_seeds"
    hint = "Remove each of them from one of the two lists."


class InvalidRequest(ServingError):
    status = 422
    code = "invalid_request"
    hint = "See /docs for the fields, their types and limits."


class UnknownFilterField(ServingError):
    status = 422
    code = "unknown_filter_field"
    hint = "Columns come from the lake's profile and activity as of the last publication."


class DeniedFilter(ServingError):
    status = 422
    code = "denied_filter_field"
    hint = "The server's denied_fields protect it."


class InvalidFilter(ServingError):
    status = 422
    code = "invalid_filter"
    hint = "A filter is a field, an operator and a value of the field's kind: age > 30, country in [France, Norway]."


class EmptyDemand(ServingError):
    status = 422
    code = "empty_demand"
    hint = "Write what the users will do, as in 'customers who will buy tea'."


class DemandTooLong(ServingError):
    status = 422
    code = "demand_too_long"
    hint = "Write one sentence; put what users are into filters."


class OtherLanguage(ServingError):
    status = 422
    code = "other_language"
    hint = "Write it in English; with an encoder of other languages, set demand_language to any."


class InvalidConditions(ServingError):
    status = 422
    code = "invalid_conditions"
    hint = "Send the conditions of an answer back, edited; docs/rewriting.md describes them."


class Misconfigured(ServingError):
    status = 503
    code = "misconfigured"
    hint = "Correct the server's settings; until then no audience is made, since it might hold whom it must not."


class FeaturesMissing(ServingError):
    status = 503
    code = "features_missing"
    hint = "Run the nightly steps first: `python -m feature_repo.store materialize --ds DATE` fills the online store."


class FeaturesUnreachable(ServingError):
    status = 503
    code = "features_unreachable"
    hint = "Check FOUND_REDIS, and that Redis runs; without it only rules on events and single users' features fail."


class UserWithoutFeatures(ServingError):
    status = 404
    code = "user_without_features"
    hint = "Features go online in the nightly run after the first event; check the spelling of the id."


class AdminDisabled(ServingError):
    status = 403
    code = "admin_disabled"
    hint = "Make one with `found keys create --role admin` and send it as `Authorization: Bearer KEY`."


class PublicationRefused(ServingError):
    status = 409
    code = "publication_refused"
    hint = "The alias was left untouched; embed the day again and publish it."


class NothingToRollBack(ServingError):
    status = 409
    code = "nothing_to_roll_back"
    hint = "A previous collection exists only after a second model was published."


class ServerRefused(ServingError):
    status = 502
    code = "server_refused"
    hint = "The running server owns this work directory; see its log, or stop it and repeat."


UNREADY = (IndexMissing, ModelMissing, VersionsDisagree, PublicationUnreadable, IndexUnreachable)
"""Why no question is answered at the moment."""
MISREAD = (EmptyDemand, DemandTooLong, OtherLanguage, InvalidConditions)
"""Why a demand is not answered."""
FILTERED = (
    AudienceTooSmall,
    UnknownFilterField,
    DeniedFilter,
    InvalidFilter,
    Misconfigured,
    FeaturesMissing,
    FeaturesUnreachable,
)
"""Why filters, and rules on events, are not applied."""
