"""The search while it runs: a live table in a terminal, plain lines anywhere else."""

from rxtune.cli.live.watch import watching

__all__ = ["watching"]
