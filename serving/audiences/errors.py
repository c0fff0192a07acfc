"""What can go wrong with stored audiences; see serving/errors.py."""

from collections.abc import Mapping

from serving.errors import ServingError


class AudienceMissing(ServingError):
    status = 404
    code = "audience_not_found"
    hint = "GET /v1/audiences lists those that there are."


class AudienceNotReady(ServingError):
    status = 409
    code = "audience_not_ready"
    hint = "GET /v1/audiences/{id} shows its status and progress; a failed one says why."


class AudienceOutdated(ServingError):
    status = 409
    code = "audience_outdated"
    hint = "Reasons come from the publication that chose the members; make the audience again to have today's."


class AudienceFinished(ServingError):
    status = 409
    code = "audience_finished"
    hint = "Only a queued or running audience can be cancelled; DELETE removes one."


class IdempotencyConflict(ServingError):
    status = 409
    code = "idempotency_conflict"
    hint = "A key names one request: repeat that request unchanged, or send a new Idempotency-Key."


class InvalidCursor(ServingError):
    status = 422
    code = "invalid_cursor"
    hint = "Send `next_cursor` of the page before, or no cursor for the first page."


class QueueFull(ServingError):
    status = 429
    code = "queue_full"
    hint = "Try again later; Retry-After says how many seconds from now."

    retry_after_seconds = 10

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class UnknownTexts(ServingError):
    status = 422
    code = "unknown_texts"
    hint = (
        "A text counts when it is exactly one that the lake has; the reasons of an answer and `found target` show some."
    )


class InvalidSeedFile(ServingError):
    status = 422
    code = "invalid_seed_file"
    hint = "Send CSV or Parquet with a column user_id and, if you have it, label (1 or 0)."


class SeedFileTooLarge(ServingError):
    status = 413
    code = "seed_file_too_large"
    hint = "Send the column of user ids alone, or a sample: more than a thousand seeds a side are not used."


class ExportsDisabled(ServingError):
    status = 403
    code = "exports_disabled"
    hint = "Start the server with FOUND_EXPORT_HOSTS (hosts between commas) and FOUND_EXPORT_SECRET."


class ExportHostRefused(ServingError):
    status = 403
    code = "export_host_refused"
    hint = "Name an https address at one of the hosts of FOUND_EXPORT_HOSTS; GET /v1/receivers lists them."


class ExportAddressRefused(ServingError):
    status = 403
    code = "export_address_refused"
    hint = "Name a host with a public address, or list its network in FOUND_EXPORT_NETWORKS, as in 10.1.0.0/16."


class ExportFailed(ServingError):
    status = 502
    code = "export_failed"
    hint = "Ask the receiver's owner, then create the export again."


class StoreTooNew(ServingError):
    status = 500
    code = "store_too_new"
    hint = "Run the version of FOUND that wrote it."


class BacktestImpossible(ServingError):
    status = 409
    code = "backtest_impossible"
    hint = "Set FOUND_LAKE to the lake that the work directory was made of."
