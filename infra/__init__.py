"""What turns the code into a running stack: the template, the build, the deployment, and the local cloud.

It holds no rule of a feature: the template and `.chalice/` describe what is deployed, and architecture tests hold them
against the code. What is generated from the code (`openapi`, `vectors`) and the local cloud import it.
"""
