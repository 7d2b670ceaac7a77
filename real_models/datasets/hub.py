"""A data set's file on the Hugging Face hub, fetched once into the hub's own cache."""

from __future__ import annotations

from pathlib import Path

from theory.command import Misuse

PREFIX = "hub:"


def local_file(data: str) -> Path:
    """The local path of a data set's file; a name "hub:OWNER/NAME[@REVISION]/PATH" is fetched first.

    Args:
        data: a path, or such a name.

    Returns:
        The path; nothing is fetched that the hub's cache already holds at that revision.

    Raises:
        Misuse: the name has no such form, or the hub does not give the file.

    >>> local_file("counterfact.json").name
    'counterfact.json'
    """
    if not data.startswith(PREFIX):
        return Path(data)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    owner, _, rest = data.removeprefix(PREFIX).partition("/")
    named, _, path = rest.partition("/")
    name, _, revision = named.partition("@")
    if not owner or not name or not path:
        raise Misuse(f"{data!r} names no file on the hub; write hub:OWNER/NAME/FILE or hub:OWNER/NAME@REVISION/FILE")
    try:
        return Path(hf_hub_download(f"{owner}/{name}", path, repo_type="dataset", revision=revision or None))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        said = " ".join(str(error).split())
        raise Misuse(f"{data} cannot be fetched ({said:.200}); check the name, or pass a local file") from error
