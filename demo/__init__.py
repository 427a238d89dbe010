"""The demo: data of a small depot, and a day of the post against a back office that `make run` started."""
