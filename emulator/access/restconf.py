"""RESTCONF (RFC 8040) to look at a node: ETSI GS QKD 015, at the door where SAEs take keys.

Everything can be read and nothing written.  An operator sees the node, an SAE of the node its own
applications, nobody else anything.  To read is no input of the run: whatever is asked, however often, the
run stays what it is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import blake2b
from http import HTTPStatus
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from emulator.access.notifications import Feed, discovery
from emulator.access.sdn_node import MODULE, TYPES, Document, SdnNode
from emulator.access.yang_tree import (
    QKD_NODE,
    RESTCONF_STATE,
    YANG_LIBRARY,
    Choice,
    NoSuchNodeError,
    Tree,
    WrongParameterError,
    part_of,
)

MEDIA_TYPE = "application/yang-data+json"
STREAM = "/streams/NETCONF"
_STREAM_TYPE = "text/event-stream"
_VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_ALLOWED = {"allow": "GET, HEAD, OPTIONS"}
_LIBRARY_REVISION = "2019-01-04"
_HOST_META = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n"
    "  <Link rel='restconf' href='/restconf'/>\n"
    "</XRD>\n"
)
_MODULES = (
    (MODULE, "2022-01-30", "urn:etsi:qkd:yang:etsi-qkd-node"),
    (TYPES, "2022-01-30", "urn:etsi:qkd:yang:etsi-qkd-node-types"),
    (
        "ietf-restconf-monitoring",
        "2017-01-26",
        "urn:ietf:params:xml:ns:yang:ietf-restconf-monitoring",
    ),
    ("ietf-datastores", "2018-02-14", "urn:ietf:params:xml:ns:yang:ietf-datastores"),
    ("ietf-yang-library", _LIBRARY_REVISION, "urn:ietf:params:xml:ns:yang:ietf-yang-library"),
)
_IMPORTED = (
    ("ietf-inet-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-inet-types"),
    ("ietf-yang-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-yang-types"),
)

Look = Callable[[], Awaitable[SdnNode]]
Method = Callable[[Request, str], Awaitable[Response]]


class RestconfError(Exception):
    """A request that is refused: HTTP status, and tag and message as RFC 8040 has them."""

    def __init__(self, status: int, tag: str, message: str, kind: str = "protocol") -> None:
        super().__init__(status, tag, message, kind)
        self.status, self.tag, self.message, self.kind = status, tag, message, kind

    def document(self) -> Document:
        """Return the `errors` of RFC 8040, 7.1."""
        error = {"error-type": self.kind, "error-tag": self.tag, "error-message": self.message}
        return {"ietf-restconf:errors": {"error": [error]}}


class Restconf:
    """The resources of one node.

    `reader` tells who asks, as (operator, SAE of this node), either of them empty; `count` is told the
    status of every answer.
    """

    def __init__(
        self,
        look: Look,
        reader: Callable[[Request], tuple[str, str]],
        count: Callable[[int], None],
    ) -> None:
        self._look, self._reader, self._count = look, reader, count
        self.feed = Feed(look)

    def routes(self) -> list[Route]:
        """Return the paths of RFC 8040."""
        verbs = list(_VERBS)
        return [
            Route("/.well-known/host-meta", self._counted(self._host_meta), methods=verbs),
            Route("/restconf", self._counted(self._resource), methods=verbs),
            Route("/restconf/{rest:anything}", self._counted(self._resource), methods=verbs),
            Route(STREAM, self._counted(self._stream), methods=verbs),
        ]

    def _counted(self, method: Method) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                response = await self._answer(method, request)
            except RestconfError as error:
                headers = _ALLOWED if error.status == HTTPStatus.METHOD_NOT_ALLOWED else {}
                response = _json(error.document(), error.status, headers)
            self._count(response.status_code)
            return response

        return endpoint

    async def _answer(self, method: Method, request: Request) -> Response:
        operator, sae = self._reader(request)
        if not (operator or sae):
            words = "the certificate names neither an operator nor an SAE of this node"
            raise RestconfError(403, "access-denied", words)
        if request.method == "OPTIONS":
            return Response(status_code=200, headers=_ALLOWED)
        if request.method not in ("GET", "HEAD"):
            words = f"{request.method}: nothing can be written here"
            raise RestconfError(405, "operation-not-supported", words)
        return await method(request, "" if operator else sae)

    async def _host_meta(self, _: Request, __: str) -> Response:
        return Response(_HOST_META, media_type="application/xrd+xml")

    async def _resource(self, request: Request, sae: str) -> Response:
        """Answer for what the path names; keys in it are percent-encoded, so it is split first."""
        _require(request, MEDIA_TYPE, "application/json")
        steps = [unquote(step) for step in _path(request).split("/")[2:]]
        query = request.query_params.multi_items()
        if steps[-1:] == [""]:
            steps.pop()
        try:
            return _json(await self._found(request, sae, steps, Choice.of(query)))
        except NoSuchNodeError:
            raise RestconfError(404, "invalid-value", "there is no such resource") from None
        except WrongParameterError as error:
            raise RestconfError(400, "invalid-value", str(error)) from None

    async def _found(
        self, request: Request, sae: str, steps: list[str], choice: Choice
    ) -> Document:
        match steps:
            case []:
                about = {"data": {}, "operations": {}, "yang-library-version": _LIBRARY_REVISION}
                return {"ietf-restconf:restconf": about}
            case ["operations"]:
                return {"ietf-restconf:operations": {}}
            case ["yang-library-version"]:
                return {"ietf-restconf:yang-library-version": _LIBRARY_REVISION}
            case ["data"]:
                if choice.fields is not None:
                    raise WrongParameterError("fields is for resources below this one")
                whole = [
                    part_of(tree, await self._document(tree, request, sae), ()).chosen(choice)
                    for tree in (QKD_NODE, YANG_LIBRARY, RESTCONF_STATE)
                ]
                return {"ietf-restconf:data": {k: v for item in whole for k, v in item.items()}}
            case ["data", name, *below]:
                for tree in (QKD_NODE, YANG_LIBRARY, RESTCONF_STATE):
                    if tree.name == name:
                        document = await self._document(tree, request, sae)
                        return part_of(tree, document, below).chosen(choice)
        raise NoSuchNodeError

    async def _document(self, tree: Tree, request: Request, sae: str) -> Document:
        if tree is YANG_LIBRARY:
            return _library()
        if tree is RESTCONF_STATE:
            host = request.headers.get("host", "localhost")
            return discovery(f"https://{host}{STREAM}")
        node = await self._look()
        return node.document_for(sae) if sae else node.document()

    async def _stream(self, request: Request, sae: str) -> Response:
        _require(request, _STREAM_TYPE)
        if request.query_params:
            words = "a stream begins now and tells everything: it has no parameters"
            raise RestconfError(400, "invalid-value", words)
        if request.method == "HEAD":
            return Response(media_type=_STREAM_TYPE)
        told = _events(self.feed.notifications(sae))
        return StreamingResponse(
            told, headers={"cache-control": "no-cache"}, media_type=_STREAM_TYPE
        )


async def _events(found: AsyncIterator[Document | None]) -> AsyncIterator[str]:
    """Yield documents as server-sent events, and comments that all is well."""
    async for document in found:
        if document is None:
            yield ": listening\n\n"
            continue
        yield f"data: {json.dumps(document, ensure_ascii=False)}\n\n"


def _library() -> Document:
    """Return which modules are served (RFC 8525)."""
    named = [
        [{"name": name, "revision": revision, "namespace": space} for name, revision, space in some]
        for some in (_MODULES, _IMPORTED)
    ]
    return {
        "module-set": [{"name": "all", "module": named[0], "import-only-module": named[1]}],
        "schema": [{"name": "all", "module-set": ["all"]}],
        "datastore": [{"name": "ietf-datastores:operational", "schema": "all"}],
        "content-id": "1",
    }


def _path(request: Request) -> str:
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.partition(b"?")[0].decode("ascii", "replace")


def _require(request: Request, *known: str) -> None:
    """Refuse who accepts nothing of what there is."""
    accepted = request.headers.get("accept", "*/*").lower().split(",")
    words = [item.partition(";")[0].strip() for item in accepted]
    wild = {"*/*", *(f"{name.partition('/')[0]}/*" for name in known)}
    if not wild.intersection(words) and not set(known).intersection(words):
        raise RestconfError(406, "invalid-value", f"only {known[0]} can be had here")


def _json(document: Document, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    tag = (
        {"etag": f'"{blake2b(body, digest_size=16).hexdigest()}"'}
        if status == HTTPStatus.OK
        else {}
    )
    told = {"cache-control": "no-cache", **tag, **(headers or {})}
    return Response(body, status, told, MEDIA_TYPE)
