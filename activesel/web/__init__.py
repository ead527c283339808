"""Pages served on this machine: the review page. Imports FastAPI, which the extra [review] brings."""
