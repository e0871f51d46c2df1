"""The token of a cluster: whether it asks for one, and whether Ray would send it from here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rxtune.errors import ClusterError

ANSWER_SECONDS = 5.0
_QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"
"""What every client of Ray asks first; it has no parameters."""
_DEFAULT = "~/.ray/auth_token"
_MODES = (None, "token", "disabled")
"""Of RAY_AUTH_MODE; what other modes send, such as Kubernetes' own tokens, only Ray knows."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A token of this machine's user."""

    text: str
    where: str


def require_token(address: str) -> None:
    """Refuse a cluster that asks for another token than this process has.

    Ray itself repeats its question for twenty seconds, and then says that there is no cluster.

    Args:
        address: `host:port`, or `auto` for the cluster of this machine.

    Raises:
        ClusterError: The cluster asks for a token, and Ray has none to send, or a wrong one.
    """
    mode = os.environ.get("RAY_AUTH_MODE")
    reached = _address_here() if address == "auto" else address
    if reached is None or mode not in _MODES or not _refuses(reached, None):
        return
    token = _own_token()
    # Ray's rule: to the cluster of this machine it sends what there is; elsewhere only if told to.
    is_sent = mode == "token" or (mode is None and address == "auto")
    if token is not None and is_sent:
        if not _refuses(reached, token.text):
            return
        why = f"the one in {token.where} is not it: put the head's {_DEFAULT} in its place"
    elif token is not None:
        why = f"Ray sends the one in {token.where} only with RAY_AUTH_MODE=token: set that"
    else:
        why = (
            f"there is none in {_named_file() or _DEFAULT}: copy that file from the head"
            " (`scp HEAD:.ray/auth_token ~/.ray/`, `chmod 600`) and set RAY_AUTH_MODE=token"
        )
    raise ClusterError(
        f"--address: the cluster at {address!r} asks for its token, and {why}; or search on the"
        " head, which has it: `ray exec cluster/… 'rxtune search … --address auto'`"
    )


def _refuses(address: str, token: str | None) -> bool:
    """Return whether a cluster does not talk to who sends this; what else fails is for Ray."""
    import grpc  # type: ignore[import-untyped]

    sent = () if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(_QUESTION)  # bytes in, bytes out
        try:
            ask(b"", timeout=ANSWER_SECONDS, metadata=sent)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.UNAUTHENTICATED)
    return False


def _address_here() -> str | None:
    """Return where the cluster of this machine is, as Ray's own start has noted it."""
    named = os.environ.get("RAY_ADDRESS")
    if named not in (None, "", "auto"):
        return named
    try:
        noted = Path("/tmp/ray/ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return noted or None


def _own_token() -> _Token | None:
    """Return the token that Ray would find, in its order."""
    if text := os.environ.get("RAY_AUTH_TOKEN"):
        return _Token(text, "RAY_AUTH_TOKEN")
    where = _named_file() or _DEFAULT
    try:
        text = Path(where).expanduser().read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return _Token(text, where) if text else None


def _named_file() -> str | None:
    return os.environ.get("RAY_AUTH_TOKEN_PATH")
