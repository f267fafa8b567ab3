"""JSON encoders for millions of values; ``json.dumps`` would create an encoder at each call."""

import json

as_json = json.JSONEncoder(ensure_ascii=False).encode
as_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
