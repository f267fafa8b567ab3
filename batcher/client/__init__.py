"""The Model API: the only room that speaks to the service.

* Calls: ``api.Api`` has a method for each of submit, poll, cancel and the catalogue. A call is sent once; the runner
  decides whether to repeat it. ``sessions`` opens the connections, ``awake`` times the calls.
* Answers: ``protocol`` turns an HTTP status and body into a value (``Accepted``, ``Waiting``, ``Succeeded``, ...) or
  raises a ``CallError`` that says whether the service may have the job. ``outputs`` finds the URLs of its files.
* Token: ``token`` reads it from a flag, the environment or a file. It is sent to the origin of the base URL and nowhere
  else. ``account`` asks, free, whether the service accepts it.
* Catalogue: ``catalogue`` asks for the input schema and the price of one model, ``model_list`` for all models.

``embedded`` starts the simulator, a service on this machine, for ``--simulate``.

    async with Api("https://model-api.runcomfy.net/v1", token) as api:
        accepted = await api.submit("google-deepmind/imagen-4/fast/text-to-image", {"prompt": "a kite"})
        answer = await api.poll(accepted.request_id)
"""
