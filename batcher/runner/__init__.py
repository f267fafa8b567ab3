"""What does happen: one coroutine a job (``drain.py``), one module a step.

The order of writes is the crash design. *Intent before effect*: a job is ``submitting`` on the disk before its POST
leaves. *Fact before reliance*: the request id is on the disk before it is asked about. *Bytes before record*: image,
then sidecar, then the row that says done. So whatever a kill leaves behind is understood by the next start, and the
only thing it can't know, whether a POST in the air was taken up, is a state of its own.

Every decision is a line that calls a pure module: what may follow (``lifecycle``), when to try again (``retry``), when
a submit may leave (``pace``, ``breaker``, ``budget``), when to ask (``schedule``).
"""
