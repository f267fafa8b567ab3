"""The folder of images: fetching files, checking them, and putting them where they belong, whole or not at all.

``trust`` says where a file may come from, ``fetch`` gets it, ``body`` holds it while it arrives, ``check`` (over
``kinds`` and ``structure``) says whether it is what it claims to be, ``saving`` puts it and its sidecar in their place.
"""
