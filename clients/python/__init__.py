"""Python client: ``await connect(...)`` for asyncio, ``Client`` for everybody else."""

from clients.python.blocking import Client
from clients.python.errors import ClientError, ServerError
from clients.python.session import Block, Session, connect

__all__ = ["Block", "Client", "ClientError", "ServerError", "Session", "connect"]
