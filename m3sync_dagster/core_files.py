"""Core files: the memory of a process that the system writes to the disk when it crashes."""

import contextlib


def forbid_core_files() -> None:
    """Let neither this process nor those that it starts leave a core file: it would have secrets.

    A person who needs one sets the limit of the running process again (``prlimit --core``).

    Source: core(5). A crash reporter that the system pipes core files to decides for itself;
    systemd-coredump and apport keep none under this limit.
    """
    with contextlib.suppress(ImportError):  # Windows has no such limit.
        import resource  # noqa: PLC0415 - see above

        _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
