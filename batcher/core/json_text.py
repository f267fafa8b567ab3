"""JSON that is written by the million: encoders made once, as ``json.dumps`` makes one for each call."""

import json

as_json = json.JSONEncoder(ensure_ascii=False).encode
as_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
