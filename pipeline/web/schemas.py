"""What answers look like, as JSON Schema; `query.render` makes them, and tests hold the two together."""

from typing import Any

from pipeline.domain.fields import VISIBILITIES
from pipeline.wire.enums import Degradation, DeliveryPath

Schema = dict[str, Any]

ID: Schema = {
    "type": "string",
    "pattern": "^[1-9][0-9]{0,18}$",
    "description": "A 64-bit id, as text: JavaScript cannot hold it as a number.",
}
TIME: Schema = {"type": "integer", "format": "int64", "description": "Milliseconds since 1970."}


def _object(description: str, properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "required": required, "properties": properties}


_POST: Schema = {
    "post_id": ID,
    "author_id": ID,
    "created_at": TIME,
    "visibility": {"type": "string", "enum": list(VISIBILITIES)},
    "body": {"type": "string"},
    "media": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
    "edited_at": {"type": ["integer", "null"], "format": "int64", "description": "As created_at."},
}
_PROVENANCE: Schema = {
    "path": {
        "type": "string",
        "enum": [
            DeliveryPath.OWN,
            DeliveryPath.PUSH,
            DeliveryPath.PULL,
            f"{DeliveryPath.PUSH}+{DeliveryPath.PULL}",
        ],
        "description": "How the post came to the page; with explain=1, as what follows.",
    },
    "tier": {"type": "string", "description": "The fan-out tier of its author."},
    "age_ms": {"type": "integer", "format": "int64", "description": "When the session began."},
    "score": {"type": "number", "description": "The sum of its parts; in a ranked session."},
    "parts": {
        "type": "object",
        "additionalProperties": {"type": "number"},
        "description": "What each feature gives, in doublings.",
    },
}
_PAGE: Schema = {
    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    "next_cursor": {"type": ["string", "null"], "description": "Of the next page; null: the feed ends here."},
    "degraded": {
        "type": "array",
        "items": {"type": "string", "enum": list(Degradation)},
        "description": "What this page had to do without, as time was short.",
    },
    "lacks": {
        "type": "array",
        "items": ID,
        "description": "Authors who did not answer in time: posts of theirs may be missing.",
    },
    "explain": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "description": "How many candidates each step had; with explain=1.",
    },
}
_FOLLOWING: Schema = {
    "reader_id": ID,
    "author_id": ID,
    "follows": {"type": "boolean"},
    "since": {"type": ["integer", "null"], "format": "int64", "description": "When they followed."},
    "muted": {"type": "boolean"},
    "blocked": {"type": "boolean", "description": "By the reader; a block by the author is not told."},
}
_PROBLEM: Schema = {
    "type": {"type": "string", "format": "uri-reference"},
    "title": {"type": "string"},
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": {"type": "string"},
    "request_id": {"type": "string", "description": "What the logs have it under."},
}
SCHEMAS: Schema = {
    "Post": _object("A post, as this reader may see it.", _POST),
    "Item": _object("A post on a page.", _POST | _PROVENANCE, optional=tuple(_PROVENANCE)),
    "Page": _object("A page of a reader's feed.", _PAGE, optional=("explain",)),
    "Following": _object("How a reader stands to an author.", _FOLLOWING),
    "Problem": _object("What went wrong, and what to do about it (RFC 9457).", _PROBLEM),
    "Alive": _object("The process runs.", {"status": {"type": "string", "const": "ok"}}),
}
