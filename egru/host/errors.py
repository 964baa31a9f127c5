"""What can go wrong between host and device. The command line prints it in one line, as every `UserError`."""

from sw_model.errors import UserError


class LinkError(UserError):
    """The device does not answer, refuses, or is not the one that was expected."""


class SessionLostError(LinkError):
    """The device was reset while a session was open: the state of the network is gone, so no later answer would mean anything."""
