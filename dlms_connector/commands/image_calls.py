"""Calls for firmware: start, status, cancel, verify, activate; each step needs its own call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlms_connector.commands.image_jobs import STATE_KEY, ImageJobs
from dlms_connector.commands.image_transfer import IMAGE, activate, survey, verify
from dlms_connector.commands.operations import Attempt
from dlms_connector.commands.policy import require_write
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Local, Method, Work
from dlms_connector.errors import CommandError
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: A meter needs time to verify or activate a whole image.
_TIMEOUT_S = 60.0


def image_methods(jobs: ImageJobs) -> Mapping[str, Method]:
    """Return the methods that control the image transfers of a connector."""

    def start(context: Context, arguments: Arguments) -> Local:
        require_write(context.device, arguments.method, IMAGE)
        file, identifier = arguments.text("file"), arguments.text("identifier")
        if file is None:
            raise CommandError(f"{arguments.method}: `file` is missing, a name within firmware/")
        return Local(
            run=lambda: jobs.start(context.device, file, identifier),
            what=f"transferring {file}",
            changes=True,
        )

    def status(context: Context, arguments: Arguments) -> Local | Work:
        transfer = jobs.running(context.device.device_name)
        if transfer is None:
            return Work(
                talk=lambda client: _status(client, jobs, context), what="reading the image"
            )

        async def tell() -> Value:
            return transfer.describe()

        return Local(run=tell, what="reading the image")

    def cancel(context: Context, arguments: Arguments) -> Local:
        require_write(context.device, arguments.method, IMAGE)

        async def end() -> Value:
            return jobs.cancel(context.device.device_name)

        return Local(run=end, what="cancelling the image transfer", changes=True)

    def verifying(context: Context, arguments: Arguments) -> Work:
        return _guarded(jobs, context, arguments, verify, "verifying the image")

    def activating(context: Context, arguments: Arguments) -> Work:
        return _guarded(jobs, context, arguments, activate, "activating the image")

    return {
        "startImageTransfer": Method(start, changes=True),
        "getImageTransferStatus": Method(status),
        "cancelImageTransfer": Method(cancel, changes=True),
        "verifyImage": Method(verifying, changes=True),
        "activateImage": Method(activating, changes=True),
    }


def _status(client: Client, jobs: ImageJobs, context: Context) -> Talk[Value]:
    found = yield from survey(client)
    transfer = jobs.last(context.device.device_name)
    return {**(transfer.describe() if transfer else {"state": "none"}), **found.describe()}


def _guarded(
    jobs: ImageJobs,
    context: Context,
    arguments: Arguments,
    step: Callable[[Client, Attempt], Talk[dict[str, Value]]],
    what: str,
) -> Work:
    require_write(context.device, arguments.method, IMAGE)
    jobs.require_idle(context.device.device_name)
    attempt = Attempt()

    def talk(client: Client) -> Talk[Value]:
        outcome = yield from step(client, attempt)
        state = outcome["meterState"]
        jobs.tell_state(context.device, STATE_KEY, state)
        if state == "activationSuccessful":
            jobs.finished(context.device.device_name)
        return outcome

    return Work(talk=talk, what=what, changes=True, timeout_s=_TIMEOUT_S, attempt=attempt)
