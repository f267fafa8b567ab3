"""``python -m tests.docs``: writes the generated parts of the manual."""

from tests.docs.generated import pages

for path, text in pages().items():
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
        print("wrote", path.name)
