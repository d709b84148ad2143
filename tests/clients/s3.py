"""As much of S3 as an object store needs, in memory, over HTTP: objects, ranges, lists, multipart, bulk deletes."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from aiohttp import web

PAGE = 3
"""Keys a page of a listing, so that there are several."""


class S3:
    """One bucket. Requests without a signature are refused, as everywhere."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.app = web.Application(client_max_size=1 << 28)
        self.app.router.add_route("*", "/{bucket}/{key:.*}", self.handle)
        self.app.router.add_route("*", "/{bucket}", self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256"):
            return web.Response(status=403)
        key, query, body = request.match_info.get("key", ""), request.query, await request.read()
        if request.method == "PUT":
            return self._put(key, query, body)
        if request.method == "POST":
            return self._post(key, query, body)
        if request.method == "GET" and "list-type" in query:
            return self._list(query.get("prefix", ""), query.get("continuation-token", ""))
        if key not in self.objects:
            return _xml("<Error><Code>NoSuchKey</Code></Error>", 404)
        return self._get(self.objects[key], request.headers.get("Range"))

    def _put(self, key: str, query: Mapping[str, str], body: bytes) -> web.Response:
        upload = query.get("uploadId")
        if upload is None:
            self.objects[key] = body
        else:
            self.parts[upload][int(query["partNumber"])] = body
        return web.Response(headers={"ETag": '"e"'})

    def _post(self, key: str, query: Mapping[str, str], body: bytes) -> web.Response:
        if "delete" in query:
            keys = [each.decode() for each in re.findall(rb"<Key>(.*?)</Key>", body)]
            for each in keys:
                self.objects.pop(each, None)
            gone = "".join(f"<Deleted><Key>{escape(each)}</Key></Deleted>" for each in keys)
            return _xml(f"<DeleteResult>{gone}</DeleteResult>")
        if "uploads" in query:
            self.parts[key] = {}
            return _xml(f"<InitiateMultipartUploadResult><UploadId>{key}</UploadId></InitiateMultipartUploadResult>")
        self.objects[key] = b"".join(data for _, data in sorted(self.parts.pop(key).items()))
        return _xml("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")

    def _list(self, prefix: str, after: str) -> web.Response:
        keys = [key for key in sorted(self.objects) if key.startswith(prefix) and key > after]
        shown, more = keys[:PAGE], len(keys) > PAGE
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size><ETag>e</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in shown
        )
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        return _xml(f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{rows}{token}</ListBucketResult>")

    def _get(self, data: bytes, wanted: str | None) -> web.Response:
        headers = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        found = re.match(r"bytes=(\d+)-(\d+)$", wanted or "")
        if found is None:
            return web.Response(body=data, headers=headers)
        start, end = int(found[1]), min(int(found[2]) + 1, len(data))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return web.Response(body=data[start:end], status=206, headers=headers)


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(text=f'<?xml version="1.0"?>{text}', status=status, content_type="application/xml")
