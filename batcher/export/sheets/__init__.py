"""Contact sheets: the images of a run side by side, with labels, and with a mark for each missing one.

``drawing`` does all of it, in this order: ``axes`` chooses what rows and columns stand for, ``gather`` sorts jobs into
sheets and cells, ``table`` places a sheet's cells and labels on pages, ``page`` draws a page. ``text`` breaks texts
into lines and draws them, in the font that ``faces`` finds.
"""

FORMATS = ("png", "webp")
