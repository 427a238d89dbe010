"""What turns the code into a running stack: the template, the build, the deployment, and the local cloud.

It never imports a feature: the template and `.chalice/` describe what is deployed, and architecture tests hold them
against the code.
"""
