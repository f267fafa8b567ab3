"""Fetching an image: from its link to a checked file on disk, or in a bucket, with its sidecar beside it.

The way of an image, and the module of each step:

1. ``trust``: the host of the link, and of each redirect, is one that files may come from
2. ``fetch``: requests the link (``network`` reads the answer; an output may also be a ``data_url``)
3. ``body``: holds what arrives: small bodies in memory, large ones in a temporary file
4. ``check``: the kind by the first bytes (``kinds``), the structure (``structure``, ``containers``), then a full decode
5. ``embed``: writes metadata into the image, if ``--embed`` asks for it
6. ``saving``: groups images; each is forced to the disk and renamed, then its sidecar, then their folder is forced

Where images are: ``storage`` says whether a run has a bucket; ``bucket`` writes and reads one, by ``objects``.

Around that: ``thumbnail``, ``contact_sheet``, ``recode``; ``flags`` and ``flagging`` judge images without a model.
Inputs that are files: ``input_files`` checks links, ``media_contents`` reads and ``media_links`` uploads files,
``remote_file`` fetches manifests.
"""
