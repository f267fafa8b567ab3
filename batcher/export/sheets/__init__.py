"""Contact sheets: a run's pictures side by side, with labels, and with a mark wherever one is missing.

``axes`` says what stands along the sides, ``gather`` sorts the jobs of a run into sheets, ``layout`` cuts a sheet into
pages and gives everything its place, ``page`` draws one page at a time, ``drawing`` is all of it in order. Text of any
script goes through ``text``, which asks ``faces`` which font has the letters.
"""
