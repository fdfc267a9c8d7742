"""A hub that speaks the protocol of huggingface_hub as far as models need it, in memory, for tests.

Does not know bundles. What a repository holds, and what was asked, can be looked at; any request can be made
to fail.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

WRITER, READER = "hf_writer", "hf_reader"  # the two tokens it knows
LARGE = (".safetensors", ".parquet", ".npy")


@dataclass
class Repo:
    """Branches and commits; a commit is path -> content."""

    name: str
    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)  # branch, commit

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        parts = [str(len(self.commits)), *(f"{path} {blob_id(data)}" for path, data in sorted(files.items()))]
        sha = hashlib.sha1("\n".join(parts).encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        self.history.append((branch, sha))
        return sha

    def sha(self, revision: str) -> str | None:
        return self.branches.get(revision, revision if revision in self.commits else None)

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.commits[self.sha(revision) or ""]


@dataclass
class Fault:
    """After `after` of them the next `times` requests that match are answered with `status`."""

    method: str
    path: str
    status: int
    times: int = 1
    after: int = 0


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class StubHub:
    """All state of the server."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.race: Callable[[], Any] | None = None  # done once, just before the next commit arrives
        self.lock = threading.RLock()
        self.url = ""

    def fail(self, method: str, path: str, status: int, times: int = 1, after: int = 0) -> None:
        self.faults.append(Fault(method, path, status, times, after))

    def fault(self, method: str, path: str) -> int | None:
        for one in self.faults:
            if one.times and one.method == method and re.search(one.path, path):
                if one.after:
                    one.after -= 1
                    continue
                one.times -= 1
                return one.status
        return None

    def asked(self, method: str, path: str) -> int:
        return sum(m == method and re.search(path, p) is not None for m, p in self.requests)

    @contextlib.contextmanager
    def running(self) -> Iterator[StubHub]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StubHub

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.answer(status, {"error": message or code}, X_Error_Code=code, X_Error_Message=message or code)

    def handle_any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
            status = self.hub.fault(self.command, path)
            if status is not None:
                self.answer(status, {"error": f"made to fail with {status}"})
                return
            self.route(path, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    @property
    def token(self) -> str | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return given if given in (WRITER, READER) else None

    def may_write(self) -> bool:
        if self.token == WRITER:
            return True
        status, code = (403, "Forbidden") if self.token == READER else (401, "Unauthorized")
        self.refuse(
            status,
            code,
            "Invalid credentials in Authorization header" if status == 401 else "no write access",
        )
        return False

    def route(self, path: str, body: bytes) -> None:
        if path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path.startswith("/objects/"):
            sha = path.removeprefix("/objects/")
            sound = hashlib.sha256(body).hexdigest() == sha
            if sound:
                self.hub.objects[sha] = body
            self.answer(200 if sound else 400)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/(objects/batch|verify)", path):
            self.large_files(found[2], json.loads(body))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w+)/(.+))?", path):
            self.api(*found.groups(), body)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.resolve(*found.groups())
        else:
            self.refuse(404, "NotFound", path)

    def create(self, asked: dict[str, Any]) -> None:
        if not self.may_write():
            return
        name = (
            f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"me/{asked['name']}"
        )
        if name in self.hub.repos:
            self.answer(409, {"url": f"{self.hub.url}/{name}", "error": "exists"})
            return
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.hub.repos[name] = Repo(name, private)
        self.hub.repos[name].commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.answer(200, {"url": f"{self.hub.url}/{name}"})

    def large_files(self, action: str, asked: dict[str, Any]) -> None:
        if action == "verify":
            self.answer(200 if asked["oid"] in self.hub.objects else 404)
            return
        if not self.may_write():
            return
        objects = [{"oid": one["oid"], "size": one["size"]} for one in asked["objects"]]
        for one in objects:
            if one["oid"] not in self.hub.objects:
                one["actions"] = {"upload": {"href": f"{self.hub.url}/objects/{one['oid']}"}}
        self.answer(200, {"transfer": "basic", "objects": objects})

    def repo(self, name: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and self.token is None):
            self.refuse(404 if self.token else 401, "RepoNotFound")
            return None
        return repo

    def api(self, name: str, action: str | None, rest: str | None, body: bytes) -> None:
        repo = self.repo(name)
        if repo is None:
            return
        if action in ("preupload", "commit", "branch"):
            if self.may_write():
                {"preupload": self.preupload, "commit": self.commit, "branch": self.branch}[action](
                    repo, rest, body
                )
            return
        revision, _, below = (rest or "main").partition("/")
        sha = repo.sha(revision)
        if sha is None:
            self.refuse(404, "RevisionNotFound")
        elif action == "tree":
            entries = [self.entry(p, d) for p, d in sorted(repo.commits[sha].items()) if p.startswith(below)]
            self.answer(200, entries)
        else:
            files = repo.commits[sha]
            card = files.get("README.md", b"").decode().split("---\n")
            import yaml

            facts = yaml.safe_load(card[1]) if len(card) > 2 else None
            siblings = [{"rfilename": path} for path in sorted(files)]
            self.answer(
                200,
                {
                    "id": name,
                    "sha": sha,
                    "private": repo.private,
                    "siblings": siblings,
                    "cardData": facts,
                    "tags": [],
                },
            )

    def entry(self, path: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
        if path.endswith(LARGE):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def preupload(self, repo: Repo, revision: str, body: bytes) -> None:
        sha = repo.sha(revision)
        if sha is None:
            self.refuse(404, "RevisionNotFound")
            return
        answers = []
        for one in json.loads(body)["files"]:
            old, large = repo.commits[sha].get(one["path"]), one["path"].endswith(LARGE)
            oid = None if old is None else hashlib.sha256(old).hexdigest() if large else blob_id(old)
            mode = "lfs" if large else "regular"
            answers.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer(200, {"files": answers})

    def branch(self, repo: Repo, name: str, body: bytes) -> None:
        if name in repo.branches:
            self.refuse(409, "Conflict", "Reference already exists")
            return
        start = repo.sha(json.loads(body or b"{}").get("startingPoint") or "main")
        repo.branches[name] = start or repo.branches["main"]
        self.answer(200)

    def commit(self, repo: Repo, branch: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        if branch not in repo.branches:
            self.refuse(404, "RevisionNotFound")
            return
        if self.hub.race is not None:
            race, self.hub.race = self.hub.race, None
            race()
        parent = lines[0]["value"].get("parentCommit")
        if parent is not None and parent != repo.branches[branch]:
            self.refuse(
                412, "PreconditionFailed", "A commit has happened since. Please refresh and try again."
            )
            return
        files = dict(repo.files(branch))
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        sha = repo.commit(branch, files)
        self.answer(
            200, {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo.name}/commit/{sha}"}
        )

    def resolve(self, name: str, revision: str, path: str) -> None:
        repo = self.repo(name)
        if repo is None:
            return
        sha = repo.sha(revision)
        data = None if sha is None else repo.commits[sha].get(path)
        if sha is None or data is None:
            self.refuse(404, "RevisionNotFound" if sha is None else "EntryNotFound")
            return
        etag = hashlib.sha256(data).hexdigest() if path.endswith(LARGE) else blob_id(data)
        self.answer(200, data, ETag=f'"{etag}"', X_Repo_Commit=sha)
