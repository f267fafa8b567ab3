"""The Model API: calls and answers, the token, the catalogue. The one room that speaks to the service."""
