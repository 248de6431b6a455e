"""The one exception that reaches the user: what was wrong, where, what is allowed, what to do."""

from __future__ import annotations


class HwgenError(Exception):
    """Bad input or a missing tool; the command line prints it without a traceback and exits non-zero.

    Args:
        what: what was wrong, naming the value.
        where: the node, file or field concerned.
        allowed: what would have been accepted.
        hint: what to do next.
        exit_code: process exit status (see ``docs/cli.md``).
    """

    def __init__(self, what: str, *, where: str = "", allowed: str = "", hint: str = "", exit_code: int = 2) -> None:
        self.what, self.where, self.allowed, self.hint, self.exit_code = what, where, allowed, hint, exit_code
        parts = [f"{where}: {what}" if where else what]
        if allowed:
            parts.append(f"allowed: {allowed}")
        if hint:
            parts.append(f"hint: {hint}")
        super().__init__("\n  ".join(parts))


class VerificationError(HwgenError):
    """The simulated hardware and the golden model differ (exit code 3)."""

    def __init__(self, what: str, **kw: str) -> None:
        super().__init__(what, exit_code=3, **kw)


class ToolMissingError(HwgenError):
    """A compiler or simulator is not installed (exit code 4)."""

    def __init__(self, what: str, **kw: str) -> None:
        super().__init__(what, exit_code=4, **kw)
