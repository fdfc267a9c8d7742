"""The hub behind one small door: every failure comes out as a `HubError` that says what to do.

Does not know what is stored there.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genrec.errors import HubError

LIBRARY = "genrec"

_BY_STATUS = {
    401: ("the hub does not know who you are", "log in with `hf auth login`, set HF_TOKEN, or pass token="),
    403: ("your token may not do this", "use a token with write permission, or a repository of your own"),
    404: (
        "there is no such repository, or you may not see it",
        "check the spelling; for a private one log in with `hf auth login` or pass token=",
    ),
    409: ("the hub is busy with another change of this repository", "wait a moment and run it again"),
    412: (
        "the repository has changed since this push began",
        "look at what was pushed in the meantime, then run it again",
    ),
    413: ("the hub finds the upload too large", "ask its support for more room"),
    429: ("the hub has had too many requests", "wait some minutes and run it again"),
}


@contextlib.contextmanager
def hub_errors(doing: str, repo_id: str, *, outcome: str = "") -> Iterator[None]:
    """Turns what huggingface_hub raises into a `HubError`.

    Args:
        doing: What is being done, such as "pushing to".
        repo_id: The repository.
        outcome: What is true all the same, such as "nothing was published".
    """
    import httpx2
    from huggingface_hub import errors

    after = f"; {outcome}" if outcome else ""
    try:
        yield
    except errors.HFValidationError as error:
        raise HubError(
            "this is no name of a repository on the hub", received=repo_id, remedy="write it as owner/name"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"{repo_id} has no such revision{after}",
            received=_first_line(error),
            remedy="give a branch, a tag or a whole commit hash that is there",
        ) from error
    except errors.GatedRepoError as error:
        raise HubError(
            f"{doing} {repo_id}: its owners let in only those who asked{after}",
            received=_first_line(error),
            remedy=f"ask for access at https://huggingface.co/{repo_id}, then log in with `hf auth login`",
        ) from error
    except errors.RepositoryNotFoundError as error:
        # the hub says 401 of what does not exist, too, to those it does not know
        problem, remedy = _BY_STATUS[404]
        raise HubError(
            f"{doing} {repo_id}: {problem}{after}",
            received=f"{repo_id}, status {error.response.status_code}",
            remedy=remedy,
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        known = _BY_STATUS.get(status, (f"the hub failed with status {status}", "run it again later"))
        raise HubError(
            f"{doing} {repo_id}: {known[0]}{after}",
            received=f"status {status}: {_first_line(error)}",
            remedy=known[1],
        ) from error
    except (
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        errors.RevisionResolutionError,
        httpx2.HTTPError,
    ) as error:
        raise HubError(
            f"{doing} {repo_id}: the hub cannot be reached{after}",
            received=_first_line(error),
            remedy="check the connection (and HF_ENDPOINT, HF_HUB_OFFLINE), then run it again",
        ) from error
    except (errors.LocalTokenNotFoundError, ValueError, RuntimeError) as error:
        # huggingface_hub wraps what goes wrong with one file of an upload
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise HubError(
            f"{doing} {repo_id} failed{after}", received=_first_line(cause), remedy="run it again"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"


class HubRepository:
    """One model repository.

    Args:
        repo_id: `owner/name`.
        token: Of the hub; None = the one that is logged in.
    """

    def __init__(self, repo_id: str, *, token: str | None = None) -> None:
        from huggingface_hub import HfApi

        self.repo_id = repo_id
        self.token = token
        self.api = HfApi(token=token, library_name=LIBRARY)

    def info(self, revision: str | None = None) -> Any | None:
        """Commit, visibility and card of a revision; None where there is no such repository.

        Raises:
            HubError: No such revision, no permission, no connection.
        """
        from huggingface_hub import errors

        with hub_errors("looking at", self.repo_id):
            try:
                return self.api.model_info(self.repo_id, revision=revision)
            except errors.GatedRepoError:
                raise
            except errors.RepositoryNotFoundError as error:
                if error.response.status_code == 401 and not self._has_token():
                    raise
                return None

    def _has_token(self) -> bool:
        from huggingface_hub import get_token

        return bool(self.token or get_token())

    def resolved(self, revision: str | None) -> str:
        """Commit of a branch, tag or commit; offline, what the cache has of it.

        Raises:
            HubError: No such repository or revision, no permission, no connection.
        """
        with hub_errors("looking at", self.repo_id):
            return str(self.api.resolve_revision(self.repo_id, revision=revision).resolved)

    def create(self, *, private: bool) -> None:
        """Makes the repository."""
        with hub_errors("making", self.repo_id, outcome="nothing was published"):
            self.api.create_repo(self.repo_id, private=private, exist_ok=True)

    def branch(self, revision: str) -> str:
        """Commit of a branch, which is made where it is not there."""
        with hub_errors("making a branch of", self.repo_id, outcome="nothing was published"):
            self.api.create_branch(self.repo_id, branch=revision, exist_ok=True)
        return str(self.info(revision).sha)  # type: ignore[union-attr]

    def file(self, path: str, revision: str) -> Path | None:
        """A file of a commit in the local cache; None where the commit has none."""
        from huggingface_hub import errors, hf_hub_download

        with hub_errors("reading", self.repo_id):
            try:
                found = hf_hub_download(
                    self.repo_id, path, revision=revision, token=self.token, library_name=LIBRARY
                )
            except errors.RemoteEntryNotFoundError:
                return None
        return Path(found)

    def download(self, revision: str, names: Sequence[str]) -> Path:
        """Files of a commit in the local cache, and nothing else that may lie there."""
        from huggingface_hub import snapshot_download

        patterns = [name.replace("[", "[[]") for name in names]
        with hub_errors("downloading", self.repo_id):
            found = snapshot_download(
                self.repo_id,
                revision=revision,
                token=self.token,
                allow_patterns=patterns,
                library_name=LIBRARY,
            )
        return Path(found)

    def commit(
        self,
        files: Mapping[str, Path | bytes],
        *,
        deleted: Sequence[str],
        parent: str,
        revision: str | None,
        message: str,
    ) -> str:
        """Uploads files and makes one commit of all of them; what has not changed is neither sent nor in it.

        Args:
            files: Path in the repository -> a file, or its content.
            deleted: Paths that the commit takes away.
            parent: The commit it must follow; where another one came in between, nothing happens.
            revision: Branch; None = main.
            message: First line of the commit's message.

        Returns:
            The commit's hash.

        Raises:
            HubError: It was refused or broke off: the repository is as it was.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with hub_errors("pushing to", self.repo_id, outcome="nothing was published"):
            operations: list[Any] = [
                CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
                for path, content in sorted(files.items())
            ]
            operations += [CommitOperationDelete(path, is_folder=False) for path in sorted(deleted)]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
                done = self.api.create_commit(
                    self.repo_id,
                    operations,
                    commit_message=message,
                    revision=revision,
                    parent_commit=parent,
                )
        return str(done.oid)
