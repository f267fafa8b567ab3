"""The XMP packet: what an image is and how it was made, as RDF in XML.

batcher's properties are in one ``rdf:Description``, which has a namespace of its own. It is added before the end of the
RDF, and can be replaced or removed again, so a packet of another program keeps every byte. A property that the packet
already has is not added: the service that made the image knows best.

A packet is XML from outside. expat parses it and refuses document types, so there are no entities to expand.

Sources: XMP specification part 1 (2012), 7; IPTC Photo Metadata Standard 2025.1 (``DigitalSourceType`` and the fields
on generative AI, all in the namespace ``Iptc4xmpExt``, all plain text; ``AIPromptWriterName`` is left out, as batcher
knows no person); IPTC's vocabulary of digital source types.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from batcher.images.embed.splice import NotEmbedded

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
XMP = "http://ns.adobe.com/xap/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OURS = "urn:batcher:1#"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_PREFIXES = {"dc": DC, "xmp": XMP, "Iptc4xmpExt": IPTC, "batcher": OURS}
_HEAD = b"""\
<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
"""
_TAIL = b"""\
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
_START = b'<rdf:Description xmlns:batcher="urn:batcher:1#"'
_END = b"</rdf:Description>\n"
_LONGEST = 1 << 20  # bytes of a packet
_DEEPEST = 100
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = re.compile(r"[:@]([\w.-]+)$")
_VERSION = re.compile(r"-v?(\d[\w.-]*)$")


def merged(packet: bytes | None, record: Mapping[str, Any], *, whole: bool) -> bytes:
    """``packet`` (None for none) with batcher's properties. record: the sidecar. whole: not only IPTC's fields.

    Raises NotEmbedded for a packet that can't be read, or becomes too long.
    """
    base = without(packet) or _HEAD + _TAIL
    properties = {name: text for name, text in _properties(record, whole=whole) if text}
    survey = _surveyed(base, properties.keys())
    ours = [(name, text) for name, text in properties.items() if name not in survey.present]
    result = base[: survey.end] + _block(ours, survey.about) + base[survey.end :] if ours else base
    if len(result) > _LONGEST:
        raise NotEmbedded(f"the XMP packet would take {len(result):,} bytes, and {_LONGEST:,} are enough")
    return result


def without(packet: bytes | None) -> bytes | None:
    """The packet without batcher's properties; None if it had nothing else. Raises NotEmbedded."""
    if packet is None:
        return None
    if len(packet) > _LONGEST:
        raise NotEmbedded(f"its XMP packet takes {len(packet):,} bytes")
    start = packet.find(_START)
    end = packet.find(_END, start)
    if start < 0 or end < 0:
        return packet
    base = packet[:start] + packet[end + len(_END) :]
    return None if base == _HEAD + _TAIL else base


def points_to_c2pa(packet: bytes) -> bool:
    """Whether the packet has a link to a manifest elsewhere (C2PA 2.1, 11.5: ``dcterms:provenance``)."""
    return b"://purl.org/dc/terms/" in packet and b":provenance" in packet


def version_of(model: str) -> str:
    """The version in a model id: 4 of ``vendor/imagen-4/fast``, v2 of ``vendor/name:v2``; empty for none."""
    _, _, name = model.partition("/")
    match = _TAG.search(model) or _VERSION.search(name.partition("/")[0])
    return match[1] if match else ""


def _properties(record: Mapping[str, Any], *, whole: bool) -> Iterator[tuple[str, str]]:
    """Names (namespace, space, local name) and texts; an empty text is left out later."""
    inputs = record.get("inputs")
    inputs = inputs if isinstance(inputs, Mapping) else {}
    prompt, negative = (_text(inputs.get(name)) for name in ("prompt", "negative_prompt"))
    model, simulated = _text(record.get("model")), record.get("simulated") is True
    if whole:
        yield f"{DC} description", prompt
        yield f"{XMP} CreatorTool", f"batcher {_text(record.get('batcher'))}".strip()
        yield f"{XMP} CreateDate", _text(record.get("finished_at"))
        yield f"{OURS} job", _text(record.get("job"))
        yield f"{XMP} Rating", str(record["stars"]) if type(record.get("stars")) is int else ""
    # The simulator's images are drawn by rules.
    yield f"{IPTC} DigitalSourceType", SOURCE_TYPES + ("algorithmicMedia" if simulated else "trainedAlgorithmicMedia")
    yield f"{IPTC} AIPromptInformation", f"{prompt}\nNegative prompt: {negative}" if negative else prompt
    yield f"{IPTC} AISystemUsed", f"batcher's simulator of {model}" if simulated else model
    yield f"{IPTC} AISystemVersionUsed", version_of(model)


def _text(value: Any) -> str:
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else ""


def _block(properties: Sequence[tuple[str, str]], about: str) -> bytes:
    prefixes = {uri: prefix for prefix, uri in _PREFIXES.items()}
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items() if uri != OURS)
    lines = [f'{_START.decode()} xmlns:rdf="{RDF}"{declared} rdf:about={quoteattr(about)}>']
    for name, text in properties:
        uri, _, local = name.rpartition(" ")
        inner = escape(text, {"\r": "&#13;"})
        if local == "description":  # a text by language; every packet has x-default
            inner = f'<rdf:Alt><rdf:li xml:lang="x-default">{inner}</rdf:li></rdf:Alt>'
        lines.append(f"<{prefixes[uri]}:{local}>{inner}</{prefixes[uri]}:{local}>")
    return "\n".join(lines).encode() + b"\n" + _END


@dataclass(slots=True)
class _Survey:
    """What a packet has. wanted: names of properties. end: offset of the end of its RDF. about: its subject.

    present: those of the wanted properties that it has. depth: of elements so far. rdf: depth of the RDF element.
    """

    wanted: AbstractSet[str]
    end: int = -1
    about: str = ""
    present: set[str] = field(default_factory=set)
    depth: int = 0
    rdf: int = -1

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise NotEmbedded("its XMP packet is nested far too deep")
        if name == f"{RDF} RDF" and self.rdf < 0:
            self.rdf = self.depth
        elif self.rdf > 0 and self.end < 0 and self.depth == self.rdf + 1:
            self.about = attributes.get(f"{RDF} about", self.about)
            self.present |= self.wanted & attributes.keys()
        elif self.rdf > 0 and self.end < 0 and self.depth == self.rdf + 2:
            self.present |= self.wanted & {name}


def _surveyed(packet: bytes, wanted: AbstractSet[str]) -> _Survey:
    survey = _Survey(wanted)
    parser = expat.ParserCreate("utf-8", " ")

    def end(_: str) -> None:
        if survey.depth == survey.rdf and survey.end < 0:
            survey.end = parser.CurrentByteIndex
        survey.depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = survey.begin, end
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(packet.rstrip(b"\0"), True)
    except (expat.ExpatError, UnicodeError) as error:
        raise NotEmbedded(f"its XMP packet can't be read: {error}") from None
    if packet[survey.end : survey.end + 2] != b"</":
        raise NotEmbedded("its XMP packet has no room for more")
    return survey


def _refuse(*_: object) -> NoReturn:
    raise NotEmbedded("its XMP packet defines a document type, which is not allowed there")
